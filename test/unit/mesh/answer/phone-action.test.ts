import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type PhoneAction, parseAction } from '#mesh/answer/phone-action.ts';

const tap = (x: number, y: number): PhoneAction => ({ kind: 'point', name: 'Tap', at: { x, y } });
const other = (name: string, detail = ''): PhoneAction => ({ kind: 'other', name, detail });

describe('parseAction', () => {
  const cases: readonly (readonly [string, PhoneAction | undefined])[] = [
    ['do(action="Tap", element=[833,145])', tap(833, 145)],
    ['<answer>do(action="Tap", element=[0, 999])</answer>', tap(0, 999)],
    ["do(action='Tap',element=[ 1 ,2.5 ])", tap(1, 2.5)],
    [
      'do(action="Long Press", element=[5,6])',
      { kind: 'point', name: 'Long Press', at: { x: 5, y: 6 } },
    ],
    [
      'do(action="Swipe", start=[500,800], end=[500,200])',
      { kind: 'swipe', name: 'Swipe', from: { x: 500, y: 800 }, to: { x: 500, y: 200 } },
    ],
    ['do(action="Launch", app="微信")', other('Launch', '微信')],
    ['do(action="Type", text="say \\"hi\\"\\nnow")', other('Type', 'say "hi"\nnow')],
    ['do(action="Type", text="the word "open", please")', other('Type', 'the word "open", please')],
    ['do(action="Wait", duration="2 seconds")', other('Wait', '2 seconds')],
    ['do(action="Wait", duration=2)', other('Wait', '2')],
    ['do(action="Back")', other('Back')],
    ['finish(message="Done (all)")', other('Finish', 'Done (all)')],
    ['First do(action="Home") and then do(action="Tap", element=[1,2])', tap(1, 2)],
    ['do(action="Home") or do(action="Tap", element=[1,', other('Home')],
    ['do(action="Tap", element=[1001,2])', other('Tap')],
    ['do(action="Tap", element=[83', undefined],
    ['do(action="Tap"', undefined],
    ['do(element=[1,2])', undefined],
    ['I can do(this)', undefined],
    ['undo(action="Tap", element=[1,2])', undefined],
    ['', undefined],
  ];
  for (const [answer, action] of cases) {
    it(`reads ${JSON.stringify(answer)}`, () => {
      assert.deepEqual(parseAction(answer), action);
    });
  }

  it('takes a long answer that is no action in good time', () => {
    const answer = 'do('.repeat(5000) + 'do(action="x'.repeat(2000);

    const begin = performance.now();
    const action = parseAction(answer);

    assert.equal(action, undefined);
    assert(performance.now() - begin < 2000);
  });
});
