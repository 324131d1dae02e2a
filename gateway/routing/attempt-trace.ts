/** A backbone that is asked for a generation. */
export interface AskedBackbone {
  readonly address: string;
  /** Why it is asked after another one; unset: it is the first. */
  readonly cause: 'retry' | 'resume' | undefined;
}

/** One backbone's turn. */
export interface AttemptTrace {
  /** Metadata of the call that names its place in the request's trace; undefined: none. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  /** Notes its end, and why it did not answer. */
  ended(error?: unknown): void;
}

/** Is told which backbones are asked for a generation. */
export interface GenerationAttempts {
  asked(backbone: AskedBackbone): AttemptTrace;
}
