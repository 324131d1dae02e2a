/** A change of the backbones. */
export interface Disturbance {
  readonly atMs: number;
  /**
   * `kill`: the processes end and their connections break. `lose`: their machines fall silent.
   * `join`: others come.
   */
  readonly kind: 'kill' | 'lose' | 'join';
  readonly numBackbones: number;
}

/** A mesh, the requests that it gets and what happens to it. */
export interface Scenario {
  readonly name: string;
  readonly numGateways: number;
  /** Backbones at the beginning. */
  readonly numBackbones: number;
  readonly seconds: number;
  /** Requests a second, over what the backbones at the beginning can answer when none is slow. */
  readonly utilization: number;
  /** Time that a message about the load is under way, milliseconds. */
  readonly reportDelayMs: number;
  /** Share of the requests whose prefix is that of no other; the prefix of the rest is one. */
  readonly ownPrefixShare: number;
  /** Time before which each prefix is that of no other, milliseconds. */
  readonly sharedFromMs: number;
  /** Returns a backbone's weight; it runs as many times the sequences of one of weight 1. */
  readonly weightOf: (index: number) => number;
  /** Returns a backbone's speed, as a share of that of others. */
  readonly speedOf: (index: number) => number;
  /** Tells whether a backbone refuses everything because its engine is broken. */
  readonly isBroken: (index: number) => boolean;
  readonly disturbances: readonly Disturbance[];
}

const STEADY: Scenario = {
  name: 'steady',
  numGateways: 1000,
  numBackbones: 200,
  seconds: 15,
  utilization: 0.7,
  reportDelayMs: 1,
  ownPrefixShare: 1,
  sharedFromMs: 0,
  weightOf: () => 1,
  speedOf: () => 1,
  isBroken: () => false,
  disturbances: [],
};

/** Returns a scenario that differs from the steady one. */
export function scenario(name: string, changes: Partial<Scenario>): Scenario {
  return { ...STEADY, ...changes, name };
}

/** Time of the disturbances, milliseconds. */
const AT_MS = 9000;

export const SCENARIOS: readonly Scenario[] = [
  STEADY,
  scenario('loads 100 ms late', { reportDelayMs: 100 }),
  scenario('1 % have one prefix', { ownPrefixShare: 0.99 }),
  scenario('10 % have one prefix', { ownPrefixShare: 0.9 }),
  scenario('10 % get one prefix', { ownPrefixShare: 0.9, sharedFromMs: AT_MS }),
  scenario('one at half speed', { speedOf: (index) => (index === 0 ? 0.5 : 1) }),
  scenario('weights 1 and 3', { weightOf: (index) => (index % 2 === 0 ? 1 : 3) }),
  scenario('one fails everything', { isBroken: (index) => index === 0 }),
  scenario('20 killed', { disturbances: [{ atMs: AT_MS, kind: 'kill', numBackbones: 20 }] }),
  scenario('20 fall silent', { disturbances: [{ atMs: AT_MS, kind: 'lose', numBackbones: 20 }] }),
  scenario('50 join', { disturbances: [{ atMs: AT_MS, kind: 'join', numBackbones: 50 }] }),
];
