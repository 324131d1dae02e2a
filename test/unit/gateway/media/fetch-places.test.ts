import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FetchPlaces } from '#gateway/media/fetch-places.ts';
import type { Asker } from '#gateway/media/place-counts.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { refusal } from '#test/refusal.ts';

/** Places whose fetches hang until they are ended by name; keeps the order in which they began. */
class Rig {
  readonly clock = new FakeClock();
  readonly begun: string[] = [];
  readonly places: FetchPlaces;
  readonly #ends = new Map<string, () => void>();
  readonly runs = new Map<string, Promise<void>>();

  constructor(maxConcurrent: number) {
    this.places = new FetchPlaces(maxConcurrent, this.clock);
  }

  start(
    name: string,
    asker: Asker,
    { host = 'a', signal = new AbortController().signal } = {},
  ): Promise<void> {
    const run = this.places.run({ asker, host }, signal, (ended) => {
      this.begun.push(name);
      return new Promise<void>((resolve, reject) => {
        this.#ends.set(name, resolve);
        ended.addEventListener('abort', () => reject(new Error('cut')));
      });
    });
    run.catch(() => {});
    this.runs.set(name, run);
    return run;
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await this.runs.get(name);
    await turn();
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const client = (clientId: string): Asker => ({ clientId });

describe('FetchPlaces', () => {
  it('runs as many at once as there are places, the others in their order', async () => {
    const rig = new Rig(2);
    const asker = client('one');
    for (const name of ['1', '2', '3', '4']) void rig.start(name, asker);
    await turn();
    assert.deepEqual(rig.begun, ['1', '2']);

    await rig.end('2');
    await rig.end('1');

    assert.deepEqual(rig.begun, ['1', '2', '3', '4']);
  });

  it('leaves places for other hosts when one host hangs', async () => {
    const rig = new Rig(256);
    const attacker = client('one');
    for (let i = 0; i < 96; i += 1) void rig.start(`hang ${i}`, attacker, { host: 'slow' });
    void rig.start('honest', client('one'), { host: 'fast' });
    await turn();

    assert.equal(rig.begun.filter((name) => name.startsWith('hang')).length, 64);
    assert.equal(rig.begun.at(-1), 'honest');
  });

  it('leaves places for other clients when one client fetches from hosts that all hang', async () => {
    const rig = new Rig(256);
    const attacker = client('attacker');
    for (let i = 0; i < 500; i += 1) void rig.start(`hang ${i}`, attacker, { host: `${i}` });
    void rig.start('honest', client('other'));
    await turn();

    assert.equal(rig.begun.length, 129);
    assert.equal(rig.begun.at(-1), 'honest');
  });

  it('gives a free place to the client with fewest, then to its request with fewest', async () => {
    const rig = new Rig(8);
    const many = client('one');
    const single = client('one');
    for (const i of [0, 1, 2, 3, 4, 5]) void rig.start(`many ${i}`, many, { host: `${i}` });
    for (const i of [0, 1, 2]) void rig.start(`filler ${i}`, client(`${i}`), { host: `f${i}` });
    void rig.start('single', single, { host: 's' });
    void rig.start('other', client('two'), { host: 'o' });
    await turn();
    await rig.end('many 0');
    await rig.end('filler 0');

    const began = rig.begun.slice(7);
    assert.deepEqual(began, ['other', 'single']);
  });

  it('takes the oldest place of the client with most when a client with fewer waits', async () => {
    const rig = new Rig(4);
    for (const name of ['a', 'b']) {
      for (const i of [0, 1]) void rig.start(`${name}${i}`, client(name), { host: `${name}${i}` });
    }
    await turn();
    void rig.start('late', client('c'), { host: 'c' });
    rig.clock.advance(499);
    await turn();
    assert.equal(rig.begun.includes('late'), false);

    rig.clock.advance(1);
    await turn();

    assert.equal(rig.begun.at(-1), 'late');
    const gone = rig.runs.get('a0') ?? Promise.resolve();
    await assert.rejects(gone, refusal('QUEUE_FULL', /media fetches of this server/));
  });

  it('takes no place from a client that would have no more than the one that waits', async () => {
    const rig = new Rig(4);
    for (const name of ['a', 'b', 'c', 'd']) void rig.start(name, client(name), { host: name });
    void rig.start('late', client('e'), { host: 'e' });
    await turn();
    rig.clock.advance(60_000);
    await turn();

    assert.deepEqual(rig.begun, ['a', 'b', 'c', 'd']);
    assert.equal(rig.clock.numTimers, 0);
  });

  it('takes a place at the host that is full, for one elsewhere would not help', async () => {
    const rig = new Rig(8);
    for (const i of [0, 1]) void rig.start(`hang ${i}`, client('one'), { host: 'full' });
    for (const i of [0, 1]) void rig.start(`else ${i}`, client('one'), { host: `${i}` });
    await turn();
    void rig.start('late', client('two'), { host: 'full' });
    rig.clock.advance(500);
    await turn();

    assert.equal(rig.begun.at(-1), 'late');
    await assert.rejects(rig.runs.get('hang 0') ?? Promise.resolve(), refusal('QUEUE_FULL'));
  });

  it('forgets a fetch that is aborted while it waits', async () => {
    const rig = new Rig(2);
    const controller = new AbortController();
    for (const name of ['1', '2']) void rig.start(name, client(name));
    const waiting = rig.start('3', client('3'), { signal: controller.signal });
    controller.abort(new Error('the client left'));

    await assert.rejects(waiting, /the client left/);
    assert.equal(rig.places.numWaiting, 0);
    await rig.end('1');
    assert.deepEqual(rig.begun, ['1', '2']);
    assert.equal(rig.places.numRunning, 1);
  });

  it('gives back the place of a fetch that is aborted as it is admitted', async () => {
    const rig = new Rig(2);
    const controller = new AbortController();
    for (const name of ['1', '2']) void rig.start(name, client(name));
    const aborted = rig.start('3', client('3'), { signal: controller.signal });
    void rig.start('4', client('4'));
    await turn();
    const ending = rig.end('1');
    controller.abort(new Error('the client left'));
    await assert.rejects(aborted, /the client left/);
    await ending;

    assert.equal(rig.begun.at(-1), '4');
    assert.equal(rig.places.numRunning, 2);
  });
});
