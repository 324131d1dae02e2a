import type { TextKey } from '../text/en.ts';
import { useText } from '../text/language.tsx';

/** How something fares, and the tone in which that is shown. */
const STATES = {
  ready: { text: 'stateReady', tone: 'good' },
  degraded: { text: 'stateDegraded', tone: 'warn' },
  not_ready: { text: 'stateNotReady', tone: 'bad' },
  starting: { text: 'stateStarting', tone: 'warn' },
  draining: { text: 'stateDraining', tone: 'warn' },
  failed: { text: 'stateFailed', tone: 'bad' },
  refused: { text: 'stateRefused', tone: 'bad' },
  away: { text: 'stateAway', tone: 'bad' },
  unreachable: { text: 'stateUnreachable', tone: 'bad' },
  unknown: { text: 'loading', tone: 'none' },
} as const satisfies Record<string, { readonly text: TextKey; readonly tone: string }>;

export type StateName = keyof typeof STATES;

/** Tells whether a text names a state that this page knows. */
export function isStateName(text: unknown): text is StateName {
  return typeof text === 'string' && Object.hasOwn(STATES, text);
}

/** A state: a point of its tone, and its name. */
export function State({ state }: { readonly state: StateName }) {
  const say = useText();
  const { text, tone } = STATES[state];
  return <span class={`state ${tone}`}>{say(text)}</span>;
}
