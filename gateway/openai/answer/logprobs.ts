import type {
  CandidateToken,
  PromptLogprobs,
  TokenLogprob,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** Value that vLLM writes for -Infinity, which JSON lacks. */
const LOWEST_LOGPROB = -9999;

function finite(logprob: number): number {
  return Math.max(logprob, LOWEST_LOGPROB);
}

function tokenText(token: CandidateToken, asIds: boolean): string {
  return asIds ? `token_id:${token.tokenId}` : token.text.toString('utf8');
}

/**
 * Log-probabilities of one token, which are made when they are written: an answer has as many as
 * take most of a second.
 */
export interface LateLogprobs {
  toJSON(): object;
}

/** Returns `logprobs.content` of a chat choice. */
export function chatLogprobs(tokens: readonly TokenLogprob[], asIds: boolean): LateLogprobs[] {
  return tokens.flatMap(({ token, top }) => {
    if (token === undefined) return [];
    const toJSON = () => {
      const top_logprobs = top.map((one) => chatToken(one, asIds));
      return { ...chatToken(token, asIds), top_logprobs };
    };
    return [{ toJSON }];
  });
}

function chatToken(token: CandidateToken, asIds: boolean) {
  return {
    token: tokenText(token, asIds),
    logprob: finite(token.logprob),
    bytes: [...token.text],
  };
}

/** `logprobs` of a text completion choice: four lists with one entry per token. */
export interface CompletionLogprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (LateLogprobs | null)[];
  /** Index in the choice's text at which each token's text begins, in characters. */
  readonly text_offset: number[];
}

/** Writes text completion log-probabilities; carries the text offset from delta to delta. */
export class CompletionLogprobsWriter {
  readonly #asIds: boolean;
  #offset = 0;

  constructor(asIds: boolean) {
    this.#asIds = asIds;
  }

  write(tokens: readonly TokenLogprob[]): CompletionLogprobs {
    const lists = emptyLists();
    for (const entry of tokens) {
      if (entry.token === undefined) continue;
      const candidates = [entry.token, ...entry.top];
      const toJSON = () =>
        Object.fromEntries(
          candidates.map((one) => [tokenText(one, this.#asIds), finite(one.logprob)]),
        );
      this.#add(lists, entry.token, { logprob: finite(entry.token.logprob), top: { toJSON } });
    }
    return lists;
  }

  /** Writes those of an echoed prompt, whose first token has no probability. */
  writePrompt(first: CandidateToken, rest: readonly TokenLogprob[]): CompletionLogprobs {
    const lists = emptyLists();
    this.#add(lists, first, { logprob: null, top: null });
    return joinLists(lists, this.write(rest));
  }

  #add(
    lists: CompletionLogprobs,
    token: CandidateToken,
    entry: { readonly logprob: number | null; readonly top: LateLogprobs | null },
  ): void {
    const text = token.text.toString('utf8');
    lists.tokens.push(tokenText(token, this.#asIds));
    lists.token_logprobs.push(entry.logprob);
    lists.top_logprobs.push(entry.top);
    lists.text_offset.push(this.#offset);
    this.#offset += [...text].length;
  }
}

export function emptyLists(): CompletionLogprobs {
  return { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
}

export function joinLists(a: CompletionLogprobs, b: CompletionLogprobs): CompletionLogprobs {
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...a.top_logprobs, ...b.top_logprobs],
    text_offset: [...a.text_offset, ...b.text_offset],
  };
}

/** Returns vLLM's `prompt_logprobs`: null for the first token, then candidates by token id. */
export function promptLogprobs(prompt: PromptLogprobs): (LateLogprobs | null)[] {
  const entries = prompt.tokens.map(({ token, rank, top }) => {
    const toJSON = () => {
      const ranked = top.map((one, i) => [one, i + 1] as const);
      const all = token === undefined ? ranked : [...ranked, [token, rank] as const];
      return Object.fromEntries(
        all.map(([one, place]) => [
          String(one.tokenId),
          {
            logprob: finite(one.logprob),
            rank: place,
            decoded_token: one.text.toString('utf8'),
          },
        ]),
      );
    };
    return { toJSON };
  });
  return [null, ...entries];
}
