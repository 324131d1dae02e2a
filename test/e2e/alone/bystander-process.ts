import { setTimeout } from 'node:timers/promises';
import { streamAnswer } from '#test/e2e/request/chat-request.ts';
import { LONG_ANSWER } from '#test/e2e/request/load.ts';

/** Observations of a client that streamed one answer after the other. */
export interface Sight {
  /** Different texts of whole answers. */
  readonly texts: readonly string[];
  /** Messages of answers that broke off or were refused. */
  readonly failures: readonly string[];
  /** Longest time between two chunks, or between a request and its first chunk, milliseconds. */
  readonly longestGapMs: number;
  /** Longest time that `/health` took to answer, milliseconds. */
  readonly longestProbeMs: number;
}

/** Pause between two probes, milliseconds: probes without a pause would be an attack of their own. */
const PROBE_PAUSE_MS = 20;

// Streams from the mesh at the URL given as argument and probes its health beside it. Says "streaming" at the second answer, when
// the stream is warm, and ends with a Sight when it is told to stop.
const [url = ''] = process.argv.slice(2);
const texts = new Set<string>();
const failures: string[] = [];
let longestGapMs = 0;
let longestProbeMs = 0;
let isStopping = false;
process.once('message', () => {
  isStopping = true;
});

await streamAnswer(url, LONG_ANSWER);
process.send?.('streaming');
const probing = probe();
do {
  let lastMs = performance.now();
  const answer = await streamAnswer(url, LONG_ANSWER, () => {
    const nowMs = performance.now();
    longestGapMs = Math.max(longestGapMs, nowMs - lastMs);
    lastMs = nowMs;
  });
  longestGapMs = Math.max(longestGapMs, performance.now() - lastMs);
  if (answer.done) texts.add(answer.text);
  else failures.push(answer.error ?? 'the stream ended without [DONE]');
} while (!isStopping);
await probing;
const sight: Sight = { texts: [...texts], failures, longestGapMs, longestProbeMs };
process.send?.(sight, () => process.disconnect());

async function probe(): Promise<void> {
  while (!isStopping) {
    const startMs = performance.now();
    const answer = await fetch(`${url}/health`);
    await answer.arrayBuffer();
    longestProbeMs = Math.max(longestProbeMs, performance.now() - startMs);
    if (!answer.ok) failures.push(`the health probe was answered ${answer.status}`);
    await setTimeout(PROBE_PAUSE_MS);
  }
}
