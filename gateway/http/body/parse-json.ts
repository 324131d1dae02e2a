import { isUtf8 } from 'node:buffer';
import { MeshError } from '#mesh/errors.ts';
import { withExactSeeds } from './exact-seeds.ts';

const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** Byte order marks of UTF-32 and UTF-16; the longer ones come first. */
const FOREIGN_MARKS: readonly (readonly [string, Buffer])[] = [
  ['UTF-32', Buffer.from([0xff, 0xfe, 0x00, 0x00])],
  ['UTF-32', Buffer.from([0x00, 0x00, 0xfe, 0xff])],
  ['UTF-16', Buffer.from([0xff, 0xfe])],
  ['UTF-16', Buffer.from([0xfe, 0xff])],
];

/** Parses a whole JSON body; refuses what is not JSON in UTF-8. A mark of UTF-8 is skipped. */
export function parseJson(bytes: Buffer): unknown {
  const text = utf8Text(bytes, 'the body');
  if (text === '') throw new MeshError('INVALID_REQUEST', 'the body is empty; send a JSON object');
  try {
    return withExactSeeds(JSON.parse(text), text);
  } catch (cause: unknown) {
    throw new MeshError('INVALID_REQUEST', `the body is not valid JSON${placeOf(cause)}`, {
      cause,
    });
  }
}

/**
 * Decodes a text in UTF-8 without its mark; `what` and `param` name it in a refusal. A lenient
 * decoder would put U+FFFD where the bytes are wrong, and an answer to that would look right.
 */
export function utf8Text(bytes: Buffer, what: string, param?: string): string {
  const details = param === undefined ? {} : { param };
  const mark = FOREIGN_MARKS.find(([, form]) => beginsWith(bytes, form));
  if (mark !== undefined) {
    throw new MeshError('INVALID_REQUEST', `${what} is in ${mark[0]}; send UTF-8`, details);
  }
  if (!isUtf8(bytes)) {
    throw new MeshError('INVALID_REQUEST', `${what} is not UTF-8; send UTF-8`, details);
  }
  const hasMark = beginsWith(bytes, UTF8_MARK);
  return bytes.toString('utf8', hasMark ? UTF8_MARK.length : 0);
}

function beginsWith(bytes: Buffer, mark: Buffer): boolean {
  return mark.every((byte, i) => bytes[i] === byte);
}

/**
 * Returns the place at which parsing stopped; the parser's own message would repeat parts of the
 * body.
 */
function placeOf(cause: unknown): string {
  const place = cause instanceof Error ? /position \d+/.exec(cause.message) : null;
  return place === null ? '' : ` at ${place[0]}`;
}
