import type { Endable } from './single-flight.ts';

/** Work that says what it will give before it gives it. */
export interface PlannedWork<Plan, Result> extends Endable {
  /** Rejects if the work fails before it is planned. */
  readonly planned: Promise<Plan>;
  readonly finished: Promise<Result>;
}

/** Starts work that calls `onPlan` before it resolves; further calls have no effect on `planned`. */
export function startPlanned<Plan, Result>(
  run: (onPlan: (plan: Plan) => void) => Promise<Result>,
): PlannedWork<Plan, Result> {
  let onPlan = (_plan: Plan) => {};
  const plan = new Promise<Plan>((resolve) => {
    onPlan = resolve;
  });
  const finished = run((value) => onPlan(value));
  const planned = Promise.race([plan, finished.then(() => plan)]);
  // Whoever watches sees a failure; if nobody watches, it is no failure of the process.
  planned.catch(() => {});
  const ended = finished.then(
    () => {},
    () => {},
  );
  return { planned, finished, ended };
}
