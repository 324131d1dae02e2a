// Types of a load: what it says while it goes on and when it is over.

/** How far a load has come. */
export interface LoadedBytes {
  /** Bytes of weights in memory; those written to a cache count again. */
  readonly doneBytes: number;
  /** The same at the end; 0 if it is not known yet, or nothing has to be read. */
  readonly totalBytes: number;
}

/** Is given, when a load begins, a function that says how far it has come. */
export type WatchLoad = (progress: () => LoadedBytes) => void;

/** What became of the file of packed weights. */
export interface WeightsCacheReport {
  /**
   * mapped: the weights are pages of the file. written: the same, and this load has written it.
   * unused: it could not be written, and the weights are in memory of the process.
   */
  readonly outcome: 'mapped' | 'written' | 'unused';
  readonly path: string;
  /** Why there was no file to be mapped, or why it is unused; '' if there was none. */
  readonly reason: string;
}
