import type { Automaton } from '#native';
import type { LimitingForm } from './form-rules.ts';

/** A form that the thread is to make the automaton of. */
export type CompileJob = LimitingForm;

/** What comes back from the thread. */
export type CompileAnswer =
  | { readonly kind: 'automaton'; readonly automaton: Automaton }
  | { readonly kind: 'refusal'; readonly param: string; readonly message: string }
  | { readonly kind: 'failure'; readonly message: string };
