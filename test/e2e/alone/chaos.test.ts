import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { within } from '#test/bounded.ts';
import { hasNginx } from '#test/chaos/mesh/nginx.ts';
import { hasPassed } from '#test/chaos/report/report.ts';
import { reportText } from '#test/chaos/report/report-text.ts';
import { faultKinds, runChaos } from '#test/chaos/run-chaos.ts';

/** A seed that begins with kills, stops and faults of the registry; any other has to pass, too. */
const SEED = 1057;

/** Longest run with its start and end, ms: so that a run that hangs says how far it came. */
const BOUND_MS = 270_000;

const skip = hasNginx() ? false : 'nginx is not installed (apt-get install nginx-light)';

describe('three backbones, four encoders and two gateways behind nginx, with a registry', {
  skip,
}, () => {
  it('answer every request token by token as ever, whatever is killed, stopped or cut off', async () => {
    const lines: string[] = [];

    const run = runChaos({
      seconds: 60,
      seed: SEED,
      numClients: 32,
      faultEveryS: 5,
      kinds: faultKinds([]),
      say: (line) => lines.push(line),
      signal: new AbortController().signal,
    });
    const trace = () => lines;
    const report = await within(run, { what: 'the end of the run', trace, boundMs: BOUND_MS });

    assert(hasPassed(report), `${lines.join('\n')}\n\n${reportText(report)}`);
  });
});
