/** Largest distance of a tap from the icon's centre, thousandths of the screen. */
const TAP_TOLERANCE = { x: 60, y: 30 } as const;

const ACTION = /do\(.*\)/s;
const TAP = /^do\(action="Tap", element=\[(\d+),(\d+)\]\)$/;

/**
 * Returns true if an answer counts as correct: a tap if it is near enough to the expected one,
 * another action if it is the same (thoughts before it are ignored), other text if it is equal.
 */
export function counts(answer: string, expected: string): boolean {
  const wanted = ACTION.exec(expected)?.[0];
  if (wanted === undefined) return answer === expected;
  const given = ACTION.exec(answer)?.[0];
  const target = TAP.exec(wanted);
  if (target === null) return given === wanted;
  const tap = given === undefined ? null : TAP.exec(given);
  return tap !== null && isNear(tap, target);
}

/** Returns true if two matches of TAP, whose groups are the coordinates, are near each other. */
function isNear([, x, y]: RegExpExecArray, [, targetX, targetY]: RegExpExecArray): boolean {
  const dx = Math.abs(Number(x) - Number(targetX));
  const dy = Math.abs(Number(y) - Number(targetY));
  return dx <= TAP_TOLERANCE.x && dy <= TAP_TOLERANCE.y;
}
