import { Turns } from './turns.ts';

/** How long writing may hold the event loop before it lets other work run, milliseconds. */
const TURN_MS = 5;

/** Members of a list that are written at once if they are no lists or plain objects. */
const SLICE = 32;

/**
 * Returns the bytes of what `JSON.stringify` makes of plain data, and shares the event loop meanwhile. An object
 * with `toJSON` is written at once, as late as that: so a long list of them has its members made in
 * turns, too.
 */
export async function jsonInTurns(value: unknown): Promise<Buffer> {
  // Texts are joined and encoded as they are read, which takes as long as to make them.
  const parts: Buffer[] = [];
  let json = '';
  const turns = new Turns(TURN_MS);
  for (const piece of piecesOf(value)) {
    json += piece;
    if (!turns.isOver) continue;
    parts.push(Buffer.from(json));
    json = '';
    await turns.next();
  }
  return Buffer.concat([...parts, Buffer.from(json)]);
}

function* piecesOf(value: unknown): Generator<string> {
  if (Array.isArray(value)) yield* listPieces(value);
  else if (isLeaf(value)) yield JSON.stringify(value) ?? 'null';
  else yield* objectPieces(Object(value));
}

function* listPieces(list: readonly unknown[]): Generator<string> {
  yield '[';
  for (let at = 0; at < list.length; ) {
    if (at > 0) yield ',';
    let end = at;
    while (end < list.length && end < at + SLICE && isLeaf(list[end])) end++;
    if (end === at) yield* piecesOf(list[at++]);
    else yield JSON.stringify(list.slice(at, end)).slice(1, -1);
    at = Math.max(at, end);
  }
  yield ']';
}

function* objectPieces(object: object): Generator<string> {
  let separator = '';
  yield '{';
  for (const [name, value] of Object.entries(object)) {
    if (value === undefined) continue;
    yield `${separator}${JSON.stringify(name)}:`;
    yield* piecesOf(value);
    separator = ',';
  }
  yield '}';
}

/** Tells whether a value is written at once. */
function isLeaf(value: unknown): boolean {
  return typeof value !== 'object' || value === null || 'toJSON' in value;
}
