/**
 * Reads the actions that a phone agent answers with, such as `do(action="Tap", element=[500,120])`
 * and `finish(message="Done")`. Coordinates are thousandths of the screen's width and height.
 */

/** Thousandths of width and height, 0 to 1000. */
export interface ScreenPoint {
  readonly x: number;
  readonly y: number;
}

export type PhoneAction =
  | { readonly kind: 'point'; readonly name: string; readonly at: ScreenPoint }
  | {
      readonly kind: 'swipe';
      readonly name: string;
      readonly from: ScreenPoint;
      readonly to: ScreenPoint;
    }
  /** It has no place on the screen; `detail` is what it says, such as the app's name. */
  | { readonly kind: 'other'; readonly name: string; readonly detail: string };

type Argument = string | ScreenPoint | number;

const BEGIN = /\b(do|finish)\s*\(/g;
const NAME = /\s*([a-z_]+)\s*=\s*/iy;
const POINT = /\[\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*\]/y;
const NUMBER = /-?\d+(?:\.\d+)?/y;
/** A text ends at its quote before the next argument or the end: models leave inner quotes bare. */
const TEXT = /(["'])([\s\S]*?)(?<!\\)\1(?=\s*(?:\)|,\s*[a-z_]+\s*=))/iy;
const NEXT = /\s*,/y;
const END = /\s*\)/y;

/** Returns the last complete action of an answer; undefined if it has none, or none that ended. */
export function parseAction(answer: string): PhoneAction | undefined {
  const begins = [...answer.matchAll(BEGIN)].reverse();
  for (const { 0: head, 1: verb, index } of begins) {
    const found = readArguments(answer, index + head.length);
    if (found !== undefined) return verb === 'finish' ? finish(found) : action(found);
  }
  return undefined;
}

function readArguments(text: string, start: number): Map<string, Argument> | undefined {
  const found = new Map<string, Argument>();
  let at = start;
  /** Matches at the current place and moves behind it. */
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    if (take(END) !== undefined) return found;
    const name = take(NAME)?.[1];
    if (name === undefined) return undefined;
    const point = take(POINT);
    const quoted = point === undefined ? take(TEXT) : undefined;
    const number = point === undefined && quoted === undefined ? take(NUMBER) : undefined;
    if (point !== undefined) found.set(name, { x: Number(point[1]), y: Number(point[2]) });
    else if (quoted !== undefined) found.set(name, unescaped(quoted[2] ?? ''));
    else if (number !== undefined) found.set(name, Number(number[0]));
    else return undefined;
    take(NEXT);
  }
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(["'\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char));
}

function finish(found: ReadonlyMap<string, Argument>): PhoneAction {
  return { kind: 'other', name: 'Finish', detail: String(found.get('message') ?? '') };
}

function action(found: ReadonlyMap<string, Argument>): PhoneAction | undefined {
  const name = found.get('action');
  if (typeof name !== 'string') return undefined;
  const [at, from, to] = [
    pointIn(found, 'element'),
    pointIn(found, 'start'),
    pointIn(found, 'end'),
  ];
  if (from !== undefined && to !== undefined) return { kind: 'swipe', name, from, to };
  if (at !== undefined) return { kind: 'point', name, at };
  const others = [...found].filter(([key]) => key !== 'action').map(([, value]) => value);
  return {
    kind: 'other',
    name,
    detail: others.filter((value) => typeof value !== 'object').join(' '),
  };
}

/** Returns a point that lies on the screen. */
function pointIn(found: ReadonlyMap<string, Argument>, name: string): ScreenPoint | undefined {
  const value = found.get(name);
  if (typeof value !== 'object') return undefined;
  return value.x <= 1000 && value.y <= 1000 ? value : undefined;
}
