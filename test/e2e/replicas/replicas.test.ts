import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '#test/bounded.ts';
import { ownMetric } from '#test/e2e/counters.ts';
import { autoglm, type Mesh, property, startMesh } from '#test/e2e/mesh.ts';
import { type StreamedAnswer, streamAnswer } from '#test/e2e/request/chat-request.ts';
import { LONG_ANSWER } from '#test/e2e/request/load.ts';

const NUM_STREAMS = 4;
const LOOK_MS = 100;
/** Answers that end after a change before the load ends, so that it meets the mesh as it is then. */
const NUM_LATER_ANSWERS = 8;

/**
 * Streams an answer. A connection that fails before the answer begins, and a 503, are tried at the
 * next gateway, as a proxy in front of several does: one that has just started knows no backbone yet.
 */
async function ask(urls: readonly string[]): Promise<StreamedAnswer> {
  let refused: StreamedAnswer = { text: '', done: false, error: 'no gateway' };
  for (const url of urls) {
    let hasBegun = false;
    const onChunk = () => {
      hasBegun = true;
    };
    try {
      const answer = await streamAnswer(url, LONG_ANSWER, onChunk);
      if (answer.error?.startsWith('503') !== true) return answer;
      refused = answer;
    } catch (error: unknown) {
      if (hasBegun) throw error;
      refused = { text: '', done: false, error: String(error) };
    }
  }
  return refused;
}

/** Returns the texts of the answers without doubles, and the errors. */
function outcomes(answers: readonly StreamedAnswer[]): unknown[] {
  return [...new Set(answers.map(({ text, done, error }) => (done && !error ? text : error)))];
}

/** A command line's words after `autoglm`. */
type Words = readonly string[];

describe('a mesh of two backbones and two gateways', { timeout: 600_000 }, () => {
  let mesh: Mesh;
  let undisturbed = '';
  before(async () => {
    mesh = await startMesh({
      numBackbones: 2,
      numGateways: 2,
      numEncoders: { 'speech-encoder': 0 },
      // A backbone that is alone finishes its answers before it starts again, while others wait.
      keys: ['recovery-wait-s: 60'],
    });
    undisturbed = (await ask(mesh.urls)).text;
    assert(undisturbed.length > 0);
  });
  after(() => mesh.stop());

  async function command(...words: Words): Promise<string> {
    const { status, stdout, stderr } = await autoglm([...words, '--config', mesh.config]);
    assert.equal(status, 0, `${stdout}${stderr}`);
    return stdout;
  }

  async function statusRows(): Promise<readonly unknown[]> {
    const rows = property(JSON.parse(await command('status', '--json')), 'processes');
    assert(Array.isArray(rows));
    return rows;
  }

  /** Does something while both gateways stream answers; returns how the answers ended. */
  async function underLoad(change: () => Promise<unknown>): Promise<StreamedAnswer[]> {
    const answers: StreamedAnswer[] = [];
    let numWanted = Number.POSITIVE_INFINITY;
    const keepAsking = async (urls: readonly string[]) => {
      while (answers.length < numWanted) answers.push(await ask(urls));
    };
    const streams = Array.from({ length: NUM_STREAMS }, (_, i) =>
      keepAsking(i % 2 === 0 ? mesh.urls : [...mesh.urls].reverse()),
    );
    try {
      await change();
    } finally {
      numWanted = answers.length + NUM_LATER_ANSWERS;
      await Promise.all(streams);
    }
    return answers;
  }

  /** Resolves when a backbone has answered a request. */
  async function untilAnswered(address: string): Promise<void> {
    const success = { name: 'request_success', suffix: '_total' };
    while ((await ownMetric(address, success)) === 0) await delay(LOOK_MS);
  }

  it('is shown by status, each process by its name', async () => {
    const rows = await statusRows();

    assert.deepEqual(
      rows.map((row) => `${property(row, 'process')} ${property(row, 'state')}`),
      [
        'vision-encoder ready',
        'llm-backbone ready',
        'llm-backbone-2 ready',
        'gateway ready',
        'gateway-2 ready',
      ],
    );
    const second = rows[2];
    assert.equal(property(second, 'model'), 'phone-nano');
    assert.match(String(property(second, 'load')), /^\d+\+\d+\/64$/);
    assert.match(String(property(second, 'version')), /^\d+\.\d+/);
    assert.equal(property(second, 'restarts'), '0');
  });

  it('names the process in each line of its log', async () => {
    await mesh.lines.match(/"role":"llm-backbone","process":"llm-backbone-2"/);
    await mesh.lines.match(/"role":"gateway","process":"gateway-2"/);
  });

  it('gets a third backbone under load, which takes its part of it', async () => {
    const answers = await underLoad(async () => {
      await command('scale', 'llm-backbone=3');
      const third = (await mesh.instances('llm-backbone'))[2]?.address ?? '';
      await within(untilAnswered(third), { what: `an answer of ${third}`, boundMs: 60_000 });
    });

    assert.deepEqual(outcomes(answers), [undisturbed]);
  });

  it('loses no request when it is reduced to one backbone', async () => {
    const answers = await underLoad(() => command('scale', 'llm-backbone=1'));

    assert.deepEqual(outcomes(answers), [undisturbed]);
    assert.equal((await mesh.pids('llm-backbone')).length, 1);
  });

  it('loses no request while everything is started again', async () => {
    await command('scale', 'llm-backbone=2');
    const before = (await statusRows()).map((row) => property(row, 'pid'));

    const answers = await underLoad(() => command('restart'));

    assert.deepEqual(outcomes(answers), [undisturbed]);
    const after = (await statusRows()).map((row) => property(row, 'pid'));
    assert.equal(after.length, before.length);
    assert(!after.some((pid) => before.includes(pid)), `${before} became ${after}`);
  });

  it('lets requests wait while its only backbone is started again', async () => {
    await command('scale', 'llm-backbone=1');

    const answers = await underLoad(() => command('restart', 'llm-backbone'));

    assert.deepEqual(outcomes(answers), [undisturbed]);
  });

  it('ends in order, with status 0', async () => {
    const first = mesh.lines.seen.length;

    assert.equal(await mesh.stop(), 0);

    const order = mesh.lines.seen
      .slice(first)
      .flatMap((line) => /"process":"([^"]+)".*told to end/.exec(line)?.[1] ?? []);
    assert.deepEqual(order.slice(0, 2).sort(), ['gateway', 'gateway-2']);
    assert.deepEqual(order.slice(2), ['llm-backbone', 'vision-encoder']);
  });
});
