import { formatTable } from '#deploy/cli/table.ts';
import { SCENARIOS } from './scenario.ts';
import { type Outcome, simulate } from './simulation.ts';

/** Runs every scenario; returns a table for people, or one JSON object a line. */
export function simulationTable({ seed, json }: { readonly seed: number; readonly json: boolean }) {
  const outcomes = SCENARIOS.map(({ name, ...shape }) => {
    return { name, ...simulate({ name, ...shape }, seed) };
  });
  return json
    ? outcomes.map((one) => JSON.stringify(one)).join('\n')
    : formatTable(outcomes.map(rowOf));
}

function rowOf(outcome: Outcome & { readonly name: string }): Readonly<Record<string, string>> {
  const { convergedMs } = outcome;
  return {
    scenario: outcome.name,
    'requests, most/mean': outcome.mostRequests.toFixed(2),
    'work, most/mean': outcome.mostWork.toFixed(2),
    'wait P99 (ms)': outcome.waitP99Ms.toFixed(0),
    attempts: outcome.attempts.toFixed(3),
    resumed: String(outcome.numResumed),
    failed: String(outcome.numFailed),
    'converged (ms)': convergedMs === undefined ? '' : convergedMs.toFixed(0),
    'messages/s': outcome.messagesPerS.toFixed(0),
    'per backbone': outcome.messagesPerBackbonePerS.toFixed(0),
  };
}
