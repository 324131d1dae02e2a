import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requestIdAt, Sightings } from '#test/chaos/mesh/sightings.ts';

describe('Sightings', () => {
  it('finds each request in the bytes on the way, between other bytes', () => {
    const sightings = new Sightings();
    const uses: number[] = [];
    const observe = sightings.observer('llm-backbone-1', () => uses.push(1));

    observe(Buffer.from(`\0\x12${requestIdAt(7)}\x1a${requestIdAt(8)}-0 and more`));

    assert.deepEqual(placesOf(sightings, 7), ['llm-backbone-1']);
    assert.deepEqual(placesOf(sightings, 8), ['llm-backbone-1']);
    assert.equal(uses.length, 2);
  });

  for (let cut = 1; cut < requestIdAt(7).length; cut++) {
    it(`finds a request once whose id is cut after ${cut} bytes`, () => {
      const sightings = new Sightings();
      const observe = sightings.observer('llm-backbone-1', () => {});
      const id = requestIdAt(7);

      observe(Buffer.from(`before ${id.slice(0, cut)}`));
      observe(Buffer.from(`${id.slice(cut)} after, of some length`));
      observe(Buffer.from('and the end'));

      assert.deepEqual(placesOf(sightings, 7), ['llm-backbone-1']);
    });
  }

  it('keeps the places of a request in order', () => {
    const sightings = new Sightings();
    const id = Buffer.from(requestIdAt(7));

    for (const name of ['llm-backbone-1', 'vision-encoder-2', 'llm-backbone-3']) {
      sightings.observer(name, () => {})(id);
    }

    const places = placesOf(sightings, 7);
    assert.deepEqual(places, ['llm-backbone-1', 'vision-encoder-2', 'llm-backbone-3']);
  });
});

function placesOf(sightings: Sightings, index: number): readonly string[] {
  return sightings.of(requestIdAt(index)).map(({ instance }) => instance);
}
