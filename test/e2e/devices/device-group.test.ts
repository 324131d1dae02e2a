import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { usableCores } from '#mesh/devices/cores.ts';
import { streamAnswer } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_CASES } from '#test/e2e/request/golden.ts';
import { caseName, chatRequest } from '#test/e2e/request/phone-cases.ts';
import { ownMetric } from '../counters.ts';
import { type Mesh, startMesh } from '../mesh.ts';

const [first, second] = usableCores(undefined);
const skip = second === undefined && 'this machine has one core';

describe('phone-nano on a group of two devices', { skip }, () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({
      backbone: [`device: ['cpu:${first}', 'cpu:${second}']`],
      // The cache is too small for all at once.
      flags: ['--kv-cache-gb=0.0012', '--max-model-len=512'],
    });
  });
  after(() => mesh.stop());

  it('says over which devices the language model is spread', async () => {
    await mesh.lines.match(
      new RegExp(`LLM backbone distributed across cpu:${first}, cpu:${second} \\(phone-nano`),
    );
  });

  it('answers one and all at once as the reference does, with preemptions', async () => {
    const [one] = GOLDEN_CASES;
    assert(one !== undefined);
    const alone = await streamAnswer(mesh.url, chatRequest(one));
    const all = [...GOLDEN_CASES, ...GOLDEN_CASES, ...GOLDEN_CASES];
    const answers = await Promise.all(all.map((each) => streamAnswer(mesh.url, chatRequest(each))));

    assert.equal(alone.text, one.reference);
    for (const [i, each] of all.entries()) {
      assert.equal(answers[i]?.text, each.reference, caseName(each));
    }
    const counter = { name: 'num_preemptions', suffix: '_total' };
    assert.ok((await ownMetric(mesh.backboneAddress, counter)) > 0, 'nothing was preempted');
  });
});
