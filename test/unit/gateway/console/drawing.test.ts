import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawingOf } from '#gateway/console/chat/drawing.ts';
import type { PhoneAction } from '#mesh/answer/phone-action.ts';

const tap = (x: number, y: number): PhoneAction => ({ kind: 'point', name: 'Tap', at: { x, y } });

describe('drawingOf', () => {
  const size = { width: 1000, height: 2000 };

  it('puts a tap where the thousandths say, as a dot in a ring', () => {
    const drawing = drawingOf(tap(250, 500), size);

    const at = drawing?.circles.map(({ x, y }) => [x, y]);
    assert.deepEqual(at, [
      [250, 1000],
      [250, 1000],
    ]);
    assert.deepEqual(
      drawing?.circles.map(({ radius }) => radius),
      [20, 90],
    );
    assert.equal(drawing?.line, undefined);
  });

  it('draws a long or a double tap with one ring more', () => {
    const press: PhoneAction = { kind: 'point', name: 'Long Press', at: { x: 1, y: 1 } };

    assert.equal(drawingOf(press, size)?.circles.length, 3);
  });

  it('draws a swipe as an arrow whose head ends where the swipe does', () => {
    const from = { x: 500, y: 750 };
    const swipe: PhoneAction = { kind: 'swipe', name: 'Swipe', from, to: { x: 500, y: 250 } };

    const drawing = drawingOf(swipe, size);

    assert.deepEqual(drawing?.head, [
      { x: 500, y: 500 },
      { x: 555, y: 600 },
      { x: 445, y: 600 },
    ]);
    assert.deepEqual(drawing?.line, { from: { x: 500, y: 1500 }, to: { x: 500, y: 600 } });
  });

  it('draws no arrow for a swipe that goes nowhere', () => {
    const at = { x: 5, y: 5 };
    const drawing = drawingOf({ kind: 'swipe', name: 'Swipe', from: at, to: at }, size);

    assert.deepEqual([drawing?.line, drawing?.head], [undefined, []]);
  });

  it('draws nothing for what has no place on the screen', () => {
    assert.equal(drawingOf({ kind: 'other', name: 'Back', detail: '' }, size), undefined);
  });
});
