/** Lengths of the run of tokens at the end of a sequence that is looked up in it. */
export interface LookupLengths {
  readonly min: number;
  readonly max: number;
}

export interface SpeculationOptions {
  /** Most tokens of a draft. */
  readonly numTokens: number;
  readonly lookup: LookupLengths;
  /** Number of running sequences from which on nothing is drafted. */
  readonly maxRunning: number;
}
