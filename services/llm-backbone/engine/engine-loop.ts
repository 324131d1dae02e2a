import assert from 'node:assert/strict';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Quarantine } from '#mesh/process/quarantine.ts';
import { Standstill, type StepWatchdog } from '#mesh/process/step-watchdog.ts';
import { EngineError, type StepResult } from '#native';
import type { BackboneMetrics } from './backbone-metrics.ts';
import { release } from './row-source.ts';
import type { Scheduler, WantedRows } from './scheduler.ts';
import { assertSchedulerInvariants } from './scheduler-invariants.ts';
import type { Sequence } from './sequence.ts';
import type { ScheduledStep } from './step-draft.ts';
import { buildStepPlan, type ChunkResult, readStepResult, type StepExecutor } from './step-plan.ts';

/** Number of consecutive failed steps after which the engine counts as dead. */
const MAX_FAILED_STEPS = 3;

/**
 * A step is planned ahead while steps take at most this long, ms: what the device does not wait for
 * pays then, and a request that comes meanwhile waits for one short step more.
 */
const MAX_AHEAD_MS = 20;

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
  /** Hex hash of the content that its sequences bring into a step. */
  readonly promptKey: string;
  /** Called when the first of the sequences that lacks nothing has been planned into a step. */
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
  readonly quarantine: Quarantine;
  readonly watchdog: StepWatchdog;
  /** Monotonic time, milliseconds. */
  readonly now: () => number;
}

type StepOutcome =
  | {
      readonly succeeded: true;
      readonly results: readonly ChunkResult[];
      readonly idleUs: number;
      readonly forwardUs: number;
    }
  | { readonly succeeded: false; readonly error: unknown };

/** A step that the device has been given. */
interface SubmittedStep {
  readonly step: ScheduledStep;
  readonly execution: Promise<StepResult>;
}

/**
 * Runs steps as long as there is work. The results of a step are delivered after the next step has
 * been submitted, so that the device does not wait for detokenizing and sending. Where the next step
 * can be foreseen and steps are short, it is submitted before the running one has ended, so that the
 * device does not wait for the event loop either.
 */
export class EngineLoop {
  readonly #scheduler: Scheduler;
  readonly #executor: StepExecutor;
  readonly #metrics: BackboneMetrics;
  readonly #quarantine: Quarantine;
  readonly #watchdog: StepWatchdog;
  readonly #now: () => number;
  readonly #owners = new Map<Sequence, SequenceOwner>();
  /** Owners whose sequences have not been scheduled, not even one. */
  readonly #unscheduled = new Set<SequenceOwner>();
  /** Sequences to be taken out at the next step border. */
  readonly #withdrawn = new Set<Sequence>();
  #undelivered: (() => void)[] = [];
  #wake: () => void = () => {};
  /** The step after the running one, if the device has it already. */
  #ahead: SubmittedStep | null = null;
  /** Time that the device took for the last step, ms. */
  #forwardMs = Number.POSITIVE_INFINITY;
  #numFailedSteps = 0;
  /** Whether there was nothing to do before the next step. */
  #hasRested = true;
  #lastCheckMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;
  /** Why the engine is dead; null while it is not. */
  #death: MeshError | null = null;

  constructor(options: EngineLoopOptions) {
    this.#scheduler = options.scheduler;
    this.#executor = options.executor;
    this.#metrics = options.metrics;
    this.#quarantine = options.quarantine;
    this.#watchdog = options.watchdog;
    this.#now = options.now;
  }

  /**
   * Queues the sequences of one owner; throws QUEUE_FULL, ENGINE_DEAD, or ENGINE_FAILED if the engine
   * was closed.
   */
  submit(owner: SequenceOwner, sequences: readonly Sequence[]): void {
    if (this.#death !== null) throw this.#death;
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

  /** Resolves after `close`; rejects with ENGINE_DEAD when the engine is dead. */
  async run(): Promise<void> {
    while (!this.#isClosed) {
      this.#applyWithdrawals();
      const submitted = this.#takeAhead() ?? this.#submitNext();
      if (submitted === null) await this.#rest();
      else await this.#runStep(submitted);
    }
    this.#deliver();
  }

  /** Ends `run` at the next step border. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  #submitNext(): SubmittedStep | null {
    const step = this.#scheduler.schedule();
    if (step === null) return null;
    this.#quarantine.enter(this.#keysOf(step));
    return this.#submit(step);
  }

  #submit(step: ScheduledStep): SubmittedStep {
    const execution = this.#execute(step);
    // It is awaited when the step before has ended, and may have failed by then.
    execution.catch(ignoreUntilAwaited);
    return { step, execution };
  }

  async #execute(step: ScheduledStep): Promise<StepResult> {
    return this.#executor.execute(buildStepPlan(step, this.#scheduler.options.blockSize));
  }

  #takeAhead(): SubmittedStep | null {
    const ahead = this.#ahead;
    this.#ahead = null;
    if (ahead !== null) this.#quarantine.enter(this.#keysOf(ahead.step));
    return ahead;
  }

  #submitAhead(): void {
    if (this.#forwardMs > MAX_AHEAD_MS || this.#isClosed) return;
    const step = this.#scheduler.scheduleAhead();
    if (step !== null) this.#ahead = this.#submit(step);
  }

  async #runStep(submitted: SubmittedStep): Promise<void> {
    const { step } = submitted;
    const startMs = this.#now();
    const ending = this.#outcomeOf(submitted);
    this.#submitAhead();
    this.#announce(step);
    this.#askForRows();
    this.#deliver();
    const outcome = await ending;
    this.#applyWithdrawals();
    if (!outcome.succeeded) {
      this.#fail(step, outcome.error);
      await this.#dropAhead();
      return;
    }
    this.#numFailedSteps = 0;
    this.#forwardMs = outcome.forwardUs / 1000;
    const ms = this.#now() - startMs;
    const numTokens = countTokens(step, outcome.results);
    const gapUs = this.#hasRested ? null : outcome.idleUs;
    this.#hasRested = false;
    this.#metrics.stepFinished({ numTokens, ms, gapUs }, this.#scheduler.counts);
    for (const [i, { draftIds }] of step.chunks.entries()) {
      const numSampled = outcome.results[i]?.sampled.length ?? 0;
      if (draftIds.length > 0) this.#metrics.verified(draftIds.length, Math.max(0, numSampled - 1));
    }
    this.#commit(step, outcome.results, ms);
  }

  /** Returns the keys of the content in a step, each once. */
  #keysOf(step: ScheduledStep): string[] {
    const keys = new Set<string>();
    for (const { sequence } of step.chunks) {
      const key = this.#owners.get(sequence)?.promptKey;
      if (key !== undefined) keys.add(key);
    }
    // The warm-up has no key.
    keys.delete('');
    return [...keys];
  }

  async #outcomeOf({ step, execution }: SubmittedStep): Promise<StepOutcome> {
    try {
      const result = await this.#watchdog.watch(step.numTokens, execution);
      const { idleUs, forwardUs } = result;
      return { succeeded: true, results: readStepResult(step, result), idleUs, forwardUs };
    } catch (error: unknown) {
      if (error instanceof Standstill) this.#die(error);
      return { succeeded: false, error };
    }
  }

  #announce(step: ScheduledStep): void {
    if (this.#unscheduled.size === 0) return;
    for (const { sequence } of step.chunks) {
      const owner = this.#owners.get(sequence);
      // A sequence that only warms the prefix cache while it lacks media has not begun.
      if (owner === undefined || !sequence.ticket.hasStarted) continue;
      if (this.#unscheduled.delete(owner)) owner.scheduled();
    }
  }

  #commit(step: ScheduledStep, results: readonly ChunkResult[], ms: number): void {
    const byOwner = new Map<SequenceOwner, SequenceResult[]>();
    this.#endFailed(step, results);
    pool(step, results);
    this.#scheduler.commit(
      step,
      results.map(({ sampled }) => sampled.map(({ tokenId }) => tokenId)),
      ms,
    );
    for (const [i, { sequence }] of step.chunks.entries()) {
      const [owner, result] = [this.#owners.get(sequence), results[i]];
      // A sequence that was withdrawn or has failed has no owner.
      if (owner === undefined || result === undefined) continue;
      const list = byOwner.get(owner);
      // Most owners have one sequence, and a list that starts empty would reserve room for many.
      if (list === undefined) byOwner.set(owner, [{ sequence, result }]);
      else list.push({ sequence, result });
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
      owner.failed(failureOfSequence(failure));
    }
  }

  #fail(step: ScheduledStep, cause: unknown): void {
    this.#scheduler.fail(step);
    const owners = new Set(step.chunks.map(({ sequence }) => this.#take(sequence)));
    const why = errorMessage(cause);
    const reason = isOutOfMemory(cause) ? 'NO_READY_ENDPOINT' : 'ENGINE_FAILED';
    const error = new MeshError(reason, `a step of the engine failed: ${why}`, { cause });
    for (const owner of owners) owner?.failed(error);
    this.#metrics.stepFailed();
    // What it had no memory for is gone, and the device is as it was.
    if (isOutOfMemory(cause)) return;
    this.#numFailedSteps++;
    if (this.#numFailedSteps < MAX_FAILED_STEPS) return;
    const message = `${MAX_FAILED_STEPS} steps of the engine failed in a row: ${why}`;
    this.#die(new MeshError('ENGINE_DEAD', message, { cause }));
  }

  /** Ends the step that was to follow one that failed: its sequences are gone. */
  async #dropAhead(): Promise<void> {
    const ahead = this.#takeAhead();
    if (ahead === null) return;
    await this.#outcomeOf(ahead);
    this.#scheduler.fail(ahead.step);
  }

  /** Fails the remaining sequences, because the device cannot compute. */
  #die(error: MeshError): never {
    this.#death = error;
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
      else release(rows);
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
    this.#hasRested = true;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#askForRows();
    this.#deliver();
    this.#quarantine.enter([]);
    assert.equal(this.#scheduler.running.length, 0, 'sequences run and no step was planned');
    if (this.#now() - this.#lastCheckMs >= CHECK_INTERVAL_MS) {
      this.#lastCheckMs = this.#now();
      assertSchedulerInvariants(this.#scheduler);
    }
    if (!this.#isClosed) await woken;
  }
}

/**
 * Counts the tokens of a step as vLLM does: prompt tokens that are computed, and tokens that are
 * sampled; not those of sequences that ended before it.
 */
function countTokens({ chunks }: ScheduledStep, results: readonly ChunkResult[]): number {
  return chunks.reduce((sum, { sequence, firstToken, numTokens }, i) => {
    if (sequence.state === 'finished') return sum;
    const numPrompt = Math.min(firstToken + numTokens, sequence.numPromptTokens) - firstToken;
    return sum + Math.max(0, numPrompt) + (results[i]?.sampled.length ?? 0);
  }, 0);
}

/** Tells whether a device lacked memory for a step or an output: another one may have more. */
function isOutOfMemory(cause: unknown): boolean {
  return cause instanceof EngineError && cause.reason === 'OUT_OF_MEMORY';
}

/** Returns the failure of one sequence of a step that succeeded. */
function failureOfSequence(failure: EngineError): MeshError {
  const failed = isOutOfMemory(failure) ? 'NO_READY_ENDPOINT' : 'ENGINE_FAILED';
  const reason = failure.reason === 'INVALID_REQUEST' ? 'INVALID_REQUEST' : failed;
  return new MeshError(reason, failure.message, { cause: failure });
}

/** Hands the sums of hidden states to the sequences, whose next chunks add to them. */
function pool({ chunks }: ScheduledStep, results: readonly ChunkResult[]): void {
  for (const [i, { sequence, pooledRows }] of chunks.entries()) {
    const sum = results[i]?.pooledSum ?? null;
    if (pooledRows !== null && sum !== null) sequence.pooling?.add(pooledRows, sum);
  }
}

function ignoreUntilAwaited(): void {}

function asMeshError(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const why = errorMessage(error);
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
