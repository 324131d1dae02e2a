import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ItemPlace, ItemPlaces } from '#encoder/item-places.ts';
import { withResolvers } from '#mesh/async/with-resolvers.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { refusal } from '#test/refusal.ts';

/** An item whose caller sends a message when it is told to. */
class Item {
  readonly #messages: IterableIterator<ReturnType<typeof withResolvers<IteratorResult<string>>>>;
  readonly #sent = Array.from({ length: 3 }, () => withResolvers<IteratorResult<string>>());
  #numSent = 0;
  readonly outcome: Promise<string[]>;

  constructor(places: ItemPlaces, client = '') {
    this.#messages = this.#sent.values();
    this.outcome = this.#run(places, client);
    this.outcome.catch(() => {});
  }

  async send(): Promise<void> {
    this.#sent[this.#numSent]?.resolve({ done: false, value: `message ${this.#numSent}` });
    this.#numSent += 1;
    await turns();
  }

  async #run(places: ItemPlaces, client: string): Promise<string[]> {
    const next = () => this.#messages.next().value?.promise ?? new Promise<never>(() => {});
    const work = async function* (place: ItemPlace) {
      const messages = place.watched({ next });
      for (let i = 0; i < 3; i++) yield (await messages.next()).value;
    };
    const taken: string[] = [];
    for await (const one of places.around(client, work)) taken.push(one);
    return taken;
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

function placesOf(maxItems: number): { readonly places: ItemPlaces; readonly clock: FakeClock } {
  const clock = new FakeClock();
  return { places: new ItemPlaces({ maxItems, closed: 'no more', clock }), clock };
}

describe('the places of an encoder', () => {
  it('are refused when all are taken by callers that go on', async () => {
    const { places, clock } = placesOf(1);
    const first = new Item(places);
    await turns();
    for (let i = 0; i < 2; i++) {
      clock.advance(2000);
      await first.send();
    }

    const second = new Item(places);

    await assert.rejects(second.outcome, refusal('QUEUE_FULL', /1 items are being encoded/));
    await first.send();
    assert.deepEqual(await first.outcome, ['message 0', 'message 1', 'message 2']);
    assert.equal(places.numInside, 0);
  });

  it('are given to others by the caller that has been silent longest', async () => {
    const { places, clock } = placesOf(2);
    const [first, second] = [new Item(places), new Item(places)];
    await turns();
    clock.advance(1000);
    await first.send();
    clock.advance(2000);

    const third = new Item(places);
    const fourth = new Item(places);
    await turns();

    await assert.rejects(second.outcome, refusal('QUEUE_FULL', /given away.* for 3 s/));
    await assert.rejects(fourth.outcome, refusal('QUEUE_FULL', /2 items are being encoded/));
    assert.equal(places.numInside, 2);
    for (let i = 0; i < 3; i++) await third.send();
    assert.equal((await third.outcome).length, 3);
    assert.equal(places.numInside, 1);
  });

  it('stay with a silent caller while nobody else wants them', async () => {
    const { places, clock } = placesOf(1);
    const first = new Item(places);
    await turns();
    clock.advance(3_600_000);

    for (let i = 0; i < 3; i++) await first.send();

    assert.equal((await first.outcome).length, 3);
  });

  it('are given to others by the caller that reads nothing, whose work ends at once', async () => {
    const { places, clock } = placesOf(1);
    let numEnded = 0;
    const rows = async function* () {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        numEnded += 1;
      }
    };
    const unread = places.around('', rows);
    for (let i = 0; i < 3; i++) {
      clock.advance(2000);
      await unread.next();
    }
    const early = new Item(places);
    await assert.rejects(early.outcome, refusal('QUEUE_FULL', /1 items are being encoded/));
    clock.advance(3000);

    const second = new Item(places);
    await turns();

    assert.equal(numEnded, 1);
    for (let i = 0; i < 3; i++) await second.send();
    assert.equal((await second.outcome).length, 3);
    await assert.rejects(unread.next(), refusal('QUEUE_FULL', /given away.* for 3 s/));
    assert.equal(places.numInside, 0);
  });

  it('are kept for others than a client that has many, which has those of its own that stand still', async () => {
    const { places, clock } = placesOf(8);
    const flood = Array.from({ length: 7 }, () => new Item(places, 'flood'));
    await turns();

    const refused = new Item(places, 'flood');
    await assert.rejects(
      refused.outcome,
      refusal('QUEUE_FULL', /7 items of this client.* 1 place/),
    );
    const single = new Item(places, 'single');
    await turns();
    clock.advance(3000);
    await single.send();
    const instead = new Item(places, 'flood');
    await turns();

    await assert.rejects(
      flood[0]?.outcome ?? Promise.resolve(),
      refusal('QUEUE_FULL', /given away/),
    );
    for (let i = 0; i < 3; i++) await instead.send();
    assert.equal((await instead.outcome).length, 3);
    assert.equal(places.numInside, 7);
  });
});
