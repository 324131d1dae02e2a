import type { TestContext } from 'node:test';
import { SupervisedProcess } from '#deploy/local/supervised-process.ts';
import { Suspects } from '#deploy/local/suspects.ts';
import { systemClock } from '#mesh/async/clock.ts';
import { type OptionSchema, type OptionValues, resolveOptions } from '#mesh/options.ts';
import { within } from '#test/bounded.ts';
import { freePort } from '#test/free-port.ts';
import { memoryLog } from '#test/memory-log.ts';

const POLICY = { firstDelayMs: 10, maxDelayMs: 10, factor: 1, stableRunMs: 1, jitter: 0 };

export interface SupervisedRole {
  readonly name: string;
  readonly options: OptionSchema;
  /** Path of its main module from the package's root, without extension. */
  readonly main: string;
  readonly values: OptionValues;
}

/** Starts `count` processes of a role, as the supervisor does; they end with the test. */
export async function startSupervised(test: TestContext, role: SupervisedRole, count: number) {
  const suspects = new Suspects(systemClock);
  const { log, lines } = memoryLog();
  const stopping = new AbortController();
  const processes: { readonly listen: string; readonly process: SupervisedProcess }[] = [];
  for (let number = 1; number <= count; number++) {
    const listen = `127.0.0.1:${await freePort()}`;
    const values = { listen, livenessTimeoutS: 0, logLevel: 'error', ...role.values };
    const config = {
      name: role.name,
      follows: [],
      role,
      values: resolveOptions(role.options, values, {}),
    };
    const membersOf = () => [];
    const meshStopping = stopping.signal;
    const options = { log, policy: POLICY, suspects, membersOf, meshStopping };
    const process = new SupervisedProcess(config, options);
    const run = process.run();
    test.after(async () => {
      stopping.abort();
      process.kill();
      await run;
      for (const { key } of suspects.all) suspects.cleared(key);
    });
    processes.push({ listen, process });
  }
  for (const { process } of processes) {
    await within(process.started(stopping.signal), { what: 'a start', boundMs: 60_000 });
  }
  return { processes, suspects, lines };
}
