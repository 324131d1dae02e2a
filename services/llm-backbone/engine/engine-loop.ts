import assert from 'node:assert/strict';
import { MeshError } from '#mesh/errors.ts';
import type { BackboneMetrics } from './backbone-metrics.ts';
import type { Scheduler, WantedRows } from './scheduler.ts';
import { assertSchedulerInvariants } from './scheduler-invariants.ts';
import type { Sequence } from './sequence.ts';
import type { ScheduledStep } from './step-draft.ts';
import { buildStepPlan, type ChunkResult, readStepResult, type StepExecutor } from './step-plan.ts';

/** Number of consecutive failed steps after which the engine counts as dead. */
const MAX_FAILED_STEPS = 3;

/** An idle engine checks its invariants at most this often. */
const CHECK_INTERVAL_MS = 10_000;

/** The result of one step for one sequence. */
export interface SequenceResult {
  readonly sequence: Sequence;
  readonly result: ChunkResult;
}

/**
 * The caller that submitted sequences. Its methods run while the next step runs, never during
 * planning.
 */
export interface SequenceOwner {
  /** Called when the first of the sequences has been planned into a step. */
  scheduled(): void;
  /** Called with all results of one step for the owner's sequences. */
  advanced(results: readonly SequenceResult[]): void;
  /** Called when one of the sequences, or a step with it, has failed; that sequence is gone. */
  failed(error: Error): void;
}

export interface EngineLoopOptions {
  readonly scheduler: Scheduler;
  readonly executor: StepExecutor;
  readonly metrics: BackboneMetrics;
  /** Monotonic time, milliseconds. */
  readonly now: () => number;
}

type StepOutcome =
  | { readonly succeeded: true; readonly results: readonly ChunkResult[] }
  | { readonly succeeded: false; readonly error: unknown };

/**
 * Runs steps as long as there is work. The results of a step are delivered after the next step has
 * been submitted, so that the device does not wait for detokenizing and sending.
 */
export class EngineLoop {
  readonly #scheduler: Scheduler;
  readonly #executor: StepExecutor;
  readonly #metrics: BackboneMetrics;
  readonly #now: () => number;
  readonly #owners = new Map<Sequence, SequenceOwner>();
  /** Owners whose sequences have not been scheduled, not even one. */
  readonly #unscheduled = new Set<SequenceOwner>();
  /** Sequences to be taken out at the next step border. */
  readonly #withdrawn = new Set<Sequence>();
  #undelivered: (() => void)[] = [];
  #wake: () => void = () => {};
  #numFailedSteps = 0;
  #lastCheckMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(options: EngineLoopOptions) {
    this.#scheduler = options.scheduler;
    this.#executor = options.executor;
    this.#metrics = options.metrics;
    this.#now = options.now;
  }

  /**
   * Queues the sequences of one owner; throws QUEUE_FULL, or ENGINE_FAILED if the engine does not
   * run.
   */
  submit(owner: SequenceOwner, sequences: readonly Sequence[]): void {
    if (this.#isClosed) throw new MeshError('ENGINE_FAILED', 'the engine has stopped');
    this.#scheduler.add(sequences);
    for (const sequence of sequences) this.#owners.set(sequence, owner);
    this.#unscheduled.add(owner);
    this.#wake();
  }

  /** Takes sequences out at the next step border and frees all they hold. */
  withdraw(sequences: readonly Sequence[]): void {
    for (const sequence of sequences) {
      if (this.#owners.has(sequence)) this.#withdrawn.add(sequence);
    }
    this.#wake();
  }

  /** Resolves after `close`; rejects with ENGINE_FAILED when the engine is dead. */
  async run(): Promise<void> {
    while (!this.#isClosed) {
      this.#applyWithdrawals();
      const step = this.#scheduler.schedule();
      if (step === null) await this.#rest();
      else await this.#runStep(step);
    }
    this.#deliver();
  }

  /** Ends `run` at the next step border. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  async #runStep(step: ScheduledStep): Promise<void> {
    const startMs = this.#now();
    const execution = this.#execute(step);
    this.#announce(step);
    this.#askForRows();
    this.#deliver();
    const outcome = await execution;
    this.#applyWithdrawals();
    if (!outcome.succeeded) {
      this.#fail(step, outcome.error);
      return;
    }
    this.#numFailedSteps = 0;
    const ms = this.#now() - startMs;
    this.#metrics.stepFinished({ numTokens: step.numTokens, ms }, this.#scheduler.counts);
    this.#commit(step, outcome.results);
  }

  async #execute(step: ScheduledStep): Promise<StepOutcome> {
    try {
      const plan = buildStepPlan(step, this.#scheduler.options.blockSize);
      const result = await this.#executor.execute(plan);
      return { succeeded: true, results: readStepResult(step, result) };
    } catch (error: unknown) {
      return { succeeded: false, error };
    }
  }

  #announce(step: ScheduledStep): void {
    for (const { sequence } of step.chunks) {
      const owner = this.#owners.get(sequence);
      if (owner !== undefined && this.#unscheduled.delete(owner)) owner.scheduled();
    }
  }

  #commit(step: ScheduledStep, results: readonly ChunkResult[]): void {
    const byOwner = new Map<SequenceOwner, SequenceResult[]>();
    this.#endFailed(step, results);
    this.#scheduler.commit(
      step,
      results.map(({ sampled }) => sampled?.tokenId ?? null),
    );
    for (const [i, { sequence }] of step.chunks.entries()) {
      const [owner, result] = [this.#owners.get(sequence), results[i]];
      // A sequence that was withdrawn or has failed has no owner.
      if (owner === undefined || result === undefined) continue;
      const list = byOwner.get(owner) ?? [];
      list.push({ sequence, result });
      byOwner.set(owner, list);
      if (sequence.end !== null) this.#owners.delete(sequence);
    }
    for (const [owner, list] of byOwner) this.#undelivered.push(() => advance(owner, list));
  }

  /**
   * Ends the sequences that failed in the step, and only those. A request can cause such a failure,
   * so the engine does not count it as its own.
   */
  #endFailed(step: ScheduledStep, results: readonly ChunkResult[]): void {
    for (const [i, { sequence }] of step.chunks.entries()) {
      const failure = results[i]?.failure ?? null;
      if (failure === null) continue;
      this.#scheduler.remove(sequence);
      const owner = this.#take(sequence);
      if (owner === undefined) continue;
      const reason = failure.reason === 'INVALID_REQUEST' ? 'INVALID_REQUEST' : 'ENGINE_FAILED';
      owner.failed(new MeshError(reason, failure.message, { cause: failure }));
    }
  }

  #fail(step: ScheduledStep, cause: unknown): void {
    this.#scheduler.fail(step);
    const owners = new Set(step.chunks.map(({ sequence }) => this.#take(sequence)));
    const why = cause instanceof Error ? cause.message : String(cause);
    const error = new MeshError('ENGINE_FAILED', `a step of the engine failed: ${why}`, { cause });
    for (const owner of owners) owner?.failed(error);
    this.#metrics.stepFailed();
    this.#numFailedSteps++;
    if (this.#numFailedSteps >= MAX_FAILED_STEPS) this.#die(error);
  }

  /** Fails the remaining sequences, because the device cannot compute. */
  #die(error: MeshError): never {
    this.#isClosed = true;
    for (const owner of new Set(this.#owners.values())) owner.failed(error);
    throw error;
  }

  #take(sequence: Sequence): SequenceOwner | undefined {
    const owner = this.#owners.get(sequence);
    this.#owners.delete(sequence);
    return owner;
  }

  #applyWithdrawals(): void {
    for (const sequence of this.#withdrawn) {
      this.#scheduler.remove(sequence);
      const owner = this.#take(sequence);
      if (owner !== undefined) this.#unscheduled.delete(owner);
    }
    this.#withdrawn.clear();
  }

  #askForRows(): void {
    for (const wanted of this.#scheduler.takeWanted()) void this.#fetchRows(wanted);
  }

  /**
   * Fetches rows for a sequence that cannot go on without them; a failure ends the sequence, not
   * the engine.
   */
  async #fetchRows({ sequence, range }: WantedRows): Promise<void> {
    try {
      const { rowSource } = sequence;
      assert(rowSource !== null, 'rows are wanted of a prompt without media');
      const rows = await rowSource.rowsOf(range);
      if (this.#owners.has(sequence)) sequence.media.supply(range, rows);
    } catch (error: unknown) {
      const owner = this.#owners.get(sequence);
      this.withdraw([sequence]);
      owner?.failed(asMeshError(error));
    }
    this.#wake();
  }

  #deliver(): void {
    const undelivered = this.#undelivered;
    this.#undelivered = [];
    for (const deliver of undelivered) deliver();
  }

  /** Waits for work: a request, rows of media, a withdrawal. */
  async #rest(): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#askForRows();
    this.#deliver();
    assert.equal(this.#scheduler.running.length, 0, 'sequences run and no step was planned');
    if (this.#now() - this.#lastCheckMs >= CHECK_INTERVAL_MS) {
      this.#lastCheckMs = this.#now();
      assertSchedulerInvariants(this.#scheduler);
    }
    if (!this.#isClosed) await woken;
  }
}

function asMeshError(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new MeshError('ENGINE_FAILED', `media could not be encoded: ${why}`, { cause: error });
}

/** Delivers results to an owner; an error thrown meanwhile fails that request alone. */
function advance(owner: SequenceOwner, results: readonly SequenceResult[]): void {
  try {
    owner.advanced(results);
  } catch (error: unknown) {
    owner.failed(error instanceof Error ? error : new Error(String(error)));
  }
}
