/** Key of a section: how many processes are started with its other keys. */
export const REPLICAS = 'replicas';

/** Keys that are allowed in a section only, because each process has its own value. */
export const SECTION_ONLY_KEYS: ReadonlySet<string> = new Set(['listen', 'advertise']);
