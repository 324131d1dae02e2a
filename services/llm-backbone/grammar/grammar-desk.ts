import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Turns } from '#backbone/prompt/turns.ts';
import { MeshError } from '#mesh/errors.ts';
import { JobThread } from '#mesh/job-thread.ts';
import { type Automaton, EngineError, type Grammar, type TokenTrie } from '#native';
import type { CompileAnswer, CompileJob } from './compile-job.ts';
import { checkFormSize, FORM_NAMES, type LimitingForm } from './form-rules.ts';
import { formRefusal } from './grammar-refusal.ts';

/** Most memory of the thread that compiles, MiB. */
const MAX_HEAP_MB = 512;

/** Most grammars that are kept, and their memory. */
const MAX_GRAMMARS = 256;
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Time after which the thread is ended, ms. The work that a form may take is counted and ends in
 * about a second; this bounds what is not counted, on a machine that does much else.
 */
const MAX_COMPILE_MS = 15_000;

/** Who asks for a grammar. */
export interface GrammarCall {
  /** Name of the client, between which forms take turns. */
  readonly client: string;
  readonly signal: AbortSignal;
}

/**
 * Compiles the forms of answers for one vocabulary, off the event loop, one at a time, and keeps the
 * grammars of the last of them. Clients take turns.
 */
export class GrammarDesk {
  readonly #trie: TokenTrie;
  readonly #thread: JobThread<CompileJob, CompileAnswer>;
  readonly #grammars = new LRUCache<string, Grammar>({
    max: MAX_GRAMMARS,
    maxSize: MAX_BYTES,
    sizeCalculation: ({ numBytes }) => Math.max(1, numBytes),
  });
  readonly #turns: Turns;

  /** `maxWaiting`: most forms that wait to be compiled. */
  constructor(trie: TokenTrie, { maxWaiting }: { readonly maxWaiting: number }) {
    this.#trie = trie;
    this.#turns = new Turns({ maxAtOnce: 1, maxWaiting });
    this.#thread = new JobThread({
      url: import.meta.resolve('#backbone/grammar/compile-worker.ts'),
      work: 'compiles grammars',
      maxHeapMb: MAX_HEAP_MB,
    });
  }

  /**
   * Returns the grammar of a form; throws INVALID_REQUEST with its place for what has none, QUEUE_FULL,
   * or the signal's reason.
   */
  async compile(form: LimitingForm, { client, signal }: GrammarCall): Promise<Grammar> {
    checkFormSize(form);
    const key = hash('sha256', JSON.stringify(form), 'hex');
    const known = this.#grammars.get(key);
    if (known !== undefined) return known;
    return this.#turns.take(client, signal, async () => {
      const compiled = this.#grammars.get(key) ?? (await this.#compile(form, signal));
      this.#grammars.set(key, compiled);
      return compiled;
    });
  }

  close(): void {
    this.#thread.close();
  }

  async #compile(form: LimitingForm, signal: AbortSignal): Promise<Grammar> {
    const automaton = automatonOf(await this.#answer(form, signal));
    try {
      return await this.#trie.compile(automaton);
    } catch (error: unknown) {
      throw refusalOf(error, form) ?? error;
    }
  }

  async #answer(form: LimitingForm, signal: AbortSignal): Promise<CompileAnswer> {
    const over = new AbortController();
    const tooSlow = new MeshError(
      'INVALID_REQUEST',
      `structured_output: it takes more than ${MAX_COMPILE_MS / 1000} s to compile; make it simpler`,
      { param: 'structured_output' },
    );
    const timer = setTimeout(() => over.abort(tooSlow), MAX_COMPILE_MS);
    try {
      return await this.#thread.run(form, AbortSignal.any([signal, over.signal]));
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Returns the refusal of a form that can be read in too many ways, which is no failure of ours. */
function refusalOf(error: unknown, form: LimitingForm): MeshError | undefined {
  if (!(error instanceof EngineError) || error.reason !== 'INVALID_REQUEST') return undefined;
  return formRefusal(FORM_NAMES[form.$case], '', error.message.replace(/^grammar: /, ''));
}

function automatonOf(answer: CompileAnswer): Automaton {
  switch (answer.kind) {
    case 'automaton':
      return answer.automaton;
    case 'refusal':
      throw new MeshError('INVALID_REQUEST', answer.message, { param: answer.param });
    case 'failure':
      throw new Error(`a form cannot be compiled: ${answer.message}`);
  }
}
