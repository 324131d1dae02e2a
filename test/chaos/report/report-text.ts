import { formatTable } from '#deploy/cli/table.ts';
import type { Failover } from './effects.ts';
import { percentile } from './pauses.ts';
import type { Report, Spoilt, WorstGap } from './report.ts';

/** Most failed or wrong answers that are shown. */
const NUM_SHOWN = 20;

/** Writes a report for people. */
export function reportText(report: Report): string {
  const { seed, numSent, numAnswered, numCut, spoilt, numSkipped, counts, worstGap } = report;
  const availability = numSent === 0 ? 0 : (100 * numAnswered) / numSent;
  const skipped =
    numSkipped === 0 ? [] : [`${numSkipped} times a fault was due and nobody could be spared`];
  return [
    tableText(report),
    '',
    `answered ${numAnswered} of ${numSent} requests sent: availability ${availability.toFixed(3)} %`,
    `cut by the kill of their gateway, and sent again: ${numCut}; failed or wrong: ${spoilt.length}`,
    `the gateways counted ${counts.retried} retries and ${counts.resumed} resumes`,
    ...(worstGap === undefined ? [] : [worstGapText(worstGap)]),
    spreadText('longest gap without a fault', report.untouchedGapsMs),
    ...[...report.failovers].flatMap(([kind, failovers]) => failoverText(kind, failovers)),
    ...skipped,
    `seed ${seed}`,
    ...spoilt.slice(0, NUM_SHOWN).map(spoiltText),
    ...(spoilt.length > NUM_SHOWN ? [`and ${spoilt.length - NUM_SHOWN} more`] : []),
    '',
  ].join('\n');
}

function tableText({ rows }: Report): string {
  if (rows.length === 0) return 'no fault was done';
  return formatTable(
    rows.map((row) => ({
      fault: row.kind,
      times: String(row.numTimes),
      touched: String(row.numTouched),
      resumed: String(row.numResumed),
      retried: String(row.numRetried),
      'worst gap': seconds(row.worstGapMs),
      cut: String(row.numCut),
      failed: String(row.numFailed),
    })),
  );
}

function failoverText(kind: string, failovers: readonly Failover[]): readonly string[] {
  return [
    spreadText(
      `failover gap, ${kind}`,
      failovers.map(({ gapMs }) => gapMs),
    ),
    spreadText(
      `of it until noticed, ${kind}`,
      failovers.map(({ noticedMs }) => noticedMs),
    ),
  ];
}

function spreadText(what: string, timesMs: readonly number[]): string {
  if (timesMs.length === 0) return `${what}: no stream`;
  const [median, most] = [percentile(timesMs, 0.5), percentile(timesMs, 0.99)].map(seconds);
  return `${what}: P50 ${median}, P99 ${most}, of ${timesMs.length} streams`;
}

function worstGapText({ kind, target, requestId, caseName, gapMs, path }: WorstGap): string {
  const places = path.map(({ instance, atMs }) => `${instance} at ${seconds(atMs)}`).join(', ');
  return `worst gap: ${seconds(gapMs)}, ${requestId} "${caseName}", ${kind} of ${target}; sent to ${places}`;
}

function spoiltText({ kind, target, requestId, caseName, why }: Spoilt): string {
  const during = target === '' ? 'without a fault' : `${kind} of ${target}`;
  return `- ${requestId} "${caseName}", ${during}: ${why}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
