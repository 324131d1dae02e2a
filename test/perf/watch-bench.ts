import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { codePath } from '#deploy/local/code-path.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';
import { property } from '#test/e2e/mesh.ts';
import type { Figure } from './figure.ts';

/** Watchers, each with a connection of its own, as gateways have. */
const NUM_WATCHERS = 1000;

const WARM_UP_MS = 8000;
const MEASURED_MS = 10_000;

/** Measures what it costs a process whose load changes all the time to be watched by a thousand. */
export async function benchWatch(): Promise<Figure[]> {
  const watched = fork(codePath('test/perf/watched-process'));
  const [address]: unknown[] = await once(watched, 'message');
  assert(typeof address === 'string');
  const ending = new AbortController();
  let numMessages = 0;
  const follow = async () => {
    const client = createMeshClient(InstanceServiceDefinition, openChannel(address, 'tokens'));
    const call = new AbortController();
    ending.signal.addEventListener('abort', () => call.abort());
    for await (const _ of client.watch({}, { signal: call.signal })) numMessages += 1;
  };
  const watching = Array.from({ length: NUM_WATCHERS }, () => follow().catch(ignoreEnd));
  try {
    await delay(WARM_UP_MS);
    const [beganMs, began, beganMessages] = [performance.now(), await cpuS(watched), numMessages];
    await delay(MEASURED_MS);
    const [endMs, end] = [performance.now(), await cpuS(watched)];
    const seconds = (endMs - beganMs) / 1000;
    const rate = (numMessages - beganMessages) / seconds;
    return [
      { name: `${NUM_WATCHERS} watchers: messages`, value: rate, unit: '1/s' },
      {
        name: `${NUM_WATCHERS} watchers: CPU of the process`,
        value: ((end - began) / seconds) * 100,
        unit: '% of a core',
      },
    ];
  } finally {
    ending.abort();
    watched.disconnect();
    await Promise.all(watching);
  }
}

/** Asks a process for the seconds of CPU time that it has taken. */
async function cpuS(watched: ChildProcess): Promise<number> {
  watched.send('CPU time');
  const [usage]: unknown[] = await once(watched, 'message');
  return (Number(property(usage, 'user')) + Number(property(usage, 'system'))) / 1e6;
}

/** The calls end when the measurement does. */
function ignoreEnd(): void {}
