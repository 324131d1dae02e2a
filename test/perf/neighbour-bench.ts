import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { codePath } from '#deploy/local/code-path.ts';
import type { Figure } from './figure.ts';
import { createStepRunner } from './step-runner.ts';

const NUM_ROUNDS = 7;
const ROUND_MS = 500;

/**
 * Measures what two engines on the same cores cost each other: one that decodes, alone, beside an idle
 * and beside a busy one. Two that lose nothing do as much together as one after the other, which is 1.
 */
export async function benchNeighbours(): Promise<Figure[]> {
  const run = await createStepRunner('decode');
  const measured: Rounds = { alone: [], idle: [], beside: [], others: [], together: [] };
  for (let i = 0; i < NUM_ROUNDS; i++) measured.alone.push(await run(ROUND_MS));
  const neighbour = fork(codePath('test/perf/neighbour'));
  try {
    await once(neighbour, 'message');
    for (let i = 0; i < NUM_ROUNDS; i++) {
      // The rounds of a kind stand beside those they are compared with: the machine may change.
      measured.idle.push(await run(ROUND_MS));
      measured.others.push(await workOf(neighbour));
      const [own, other] = await Promise.all([run(ROUND_MS), workOf(neighbour)]);
      measured.beside.push(own);
      measured.together.push(other);
    }
  } finally {
    neighbour.disconnect();
  }
  const [alone, idle, beside] = [
    median(measured.alone),
    median(measured.idle),
    median(measured.beside),
  ];
  const other = median(measured.together) / median(measured.others);
  return [
    { name: 'phone-nano decode alone', value: alone, unit: 'steps/s' },
    { name: 'beside an idle engine on its cores', value: idle / alone, unit: 'of that' },
    { name: 'beside a busy engine on its cores', value: beside / idle, unit: 'of that' },
    { name: 'the busy engine meanwhile', value: other, unit: 'of its own' },
    { name: 'both at once, against one after the other', value: beside / idle + other, unit: '' },
  ];
}

type Rounds = Record<'alone' | 'idle' | 'beside' | 'others' | 'together', number[]>;

async function workOf(neighbour: ChildProcess): Promise<number> {
  neighbour.send(ROUND_MS);
  const [rate]: unknown[] = await once(neighbour, 'message');
  return Number(rate);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
