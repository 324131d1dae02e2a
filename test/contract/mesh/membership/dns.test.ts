import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { dnsMembership } from '#mesh/membership/dns-membership.ts';
import { memberAt } from '#mesh/peers/membership.ts';
import { type NameRecords, startNameServer } from '#test/contract/gateway/media/name-server.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { memoryLog } from '#test/memory-log.ts';
import { follow } from './followed.ts';

const REGISTRY = { kind: 'dns', name: '{role}.mesh.example', port: 8051 } as const;
const NAME = 'llm-backbone.mesh.example';

/** Follows the llm-backbones that a scripted name server knows. */
async function start(test: TestContext, records: Record<string, NameRecords[string]>) {
  const server = await startNameServer(records);
  test.after(() => server.close());
  const clock = new FakeClock();
  const { log, lines } = memoryLog();
  const parts = { log, clock, servers: [server.address] };
  const view = follow(test, dnsMembership(REGISTRY, 'llm-backbone', parts));
  /** Lets the time to the next look-up pass, once the last one has ended. */
  const nextLookUp = async () => {
    while (clock.numTimers === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    clock.advance(5000);
  };
  return { server, view, lines, nextLookUp };
}

describe('dnsMembership', { timeout: 60_000 }, () => {
  it('yields the addresses of both families, and a changed record', async (test) => {
    const records: Record<string, NameRecords[string]> = {
      [NAME]: { four: '10.0.0.1', six: 'fd00:0:0:0:0:0:0:1' },
    };
    const { view, nextLookUp } = await start(test, records);
    await view.until(['10.0.0.1:8051', '[fd00::1]:8051']);

    records[NAME] = { four: '10.0.0.2' };
    await nextLookUp();
    await view.until(['10.0.0.2:8051']);

    assert.deepEqual(view.lists.at(-1), [memberAt('10.0.0.2:8051')]);
  });

  it('says nothing when nothing has changed', async (test) => {
    const { server, view, nextLookUp } = await start(test, { [NAME]: { four: '10.0.0.1' } });
    await view.until(['10.0.0.1:8051']);

    await nextLookUp();
    while (server.questions.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    await nextLookUp();

    assert.equal(view.lists.length, 1);
  });

  it('yields an empty list for a name without addresses', async (test) => {
    const records: Record<string, NameRecords[string]> = {};
    const { view, nextLookUp } = await start(test, records);
    await view.until([]);

    records[NAME] = { four: '10.0.0.1' };
    await nextLookUp();

    await view.until(['10.0.0.1:8051']);
  });

  it('keeps its list while the name server is silent, and says so', async (test) => {
    const records: Record<string, NameRecords[string]> = { [NAME]: { four: '10.0.0.1' } };
    const { view, lines, nextLookUp } = await start(test, records);
    await view.until(['10.0.0.1:8051']);

    records[NAME] = 'silent';
    await nextLookUp();
    while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const numLists = view.lists.length;
    records[NAME] = { four: '10.0.0.2' };
    await nextLookUp();
    await view.until(['10.0.0.2:8051']);

    assert.equal(numLists, 1);
    assert.match(lines[0]?.msg ?? '', /cannot be looked up: its list stays as it was/);
    assert.match(lines.at(-1)?.msg ?? '', /can be looked up again/);
  });
});
