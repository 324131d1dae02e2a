import { MeshError } from '#mesh/errors.ts';
import { StepJournal } from './step-journal.ts';
import { JOURNALLED, onSupervisor, type Suspect, tellSupervisor } from './supervision.ts';

/** Number of processes that content must have had in their step when they crashed to be refused. */
const NUM_DEATHS_REFUSED = 2;

/** Descriptor, among those a supervisor passes on, of the file for the journal. */
export const JOURNAL_FD = 4;

export interface QuarantineOptions {
  /** Receives the keys of the content in the step; unset: nobody reads them. */
  readonly journal?: Pick<StepJournal, 'write'>;
  /** Called with the key of suspected content that has gone through a step. */
  readonly onCleared?: (key: string) => void;
}

/**
 * The content that was in the native step of processes which crashed. Content that was there once
 * is a suspect, like all that was with it: it has a step of its own until it has gone through one.
 * What was there twice is refused. The supervisor keeps this memory, for all processes of a role.
 */
export class Quarantine {
  readonly #options: QuarantineOptions;
  #numDeaths: ReadonlyMap<string, number> = new Map();

  constructor(options: QuarantineOptions = {}) {
    this.#options = options;
  }

  /** Takes over what the supervisor knows. */
  learn(suspects: readonly Suspect[]): void {
    this.#numDeaths = new Map(suspects.map(({ key, numDeaths }) => [key, numDeaths]));
  }

  /** Throws QUARANTINED for content that is refused; `what` names it for the client. */
  check(key: string, what: string): void {
    const numDeaths = this.#numDeaths.get(key) ?? 0;
    if (numDeaths < NUM_DEATHS_REFUSED) return;
    const message = `${what} was being computed when ${numDeaths} processes crashed, so it is refused for some minutes; do not send it again`;
    throw new MeshError('QUARANTINED', message);
  }

  /** Tells whether content must have a step of its own. */
  isSuspect(key: string): boolean {
    return this.#numDeaths.has(key);
  }

  /** Notes the keys of the content in the step that begins; none: the process computes nothing. */
  enter(keys: readonly string[]): void {
    this.#options.journal?.write(keys);
  }

  /** Notes that content has gone through, well or refused, without harm to the process. */
  clear(key: string): void {
    if (!this.#numDeaths.has(key)) return;
    this.#numDeaths = new Map([...this.#numDeaths].filter(([one]) => one !== key));
    this.#options.onCleared?.(key);
  }
}

/** Makes the quarantine of this process, which its supervisor fills. */
export function createQuarantine(): Quarantine {
  if (process.env[JOURNALLED] === undefined) return new Quarantine();
  const quarantine = new Quarantine({
    journal: new StepJournal(JOURNAL_FD),
    onCleared: (key) => tellSupervisor({ kind: 'cleared', key }),
  });
  onSupervisor((message) => {
    if (message.kind === 'suspects') quarantine.learn(message.suspects);
  });
  tellSupervisor({ kind: 'asks suspects' });
  return quarantine;
}
