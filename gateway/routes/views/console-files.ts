import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';

/** One form of a file, as it is sent. */
interface Encoded {
  readonly bytes: Buffer;
  /** Strong entity tag, with its quotes. */
  readonly etag: string;
}

/** A file of the console, ready to be sent. */
export interface ConsoleFile {
  readonly type: string;
  /** Whether its name has a hash of its content, so that it never changes. */
  readonly isImmutable: boolean;
  readonly plain: Encoded;
  /** Undefined if it is compressed already. */
  readonly gzipped: Encoded | undefined;
}

/** Types of the files that a build makes; those that are text are also sent compressed. */
const TYPES: Readonly<Record<string, { readonly type: string; readonly isText: boolean }>> = {
  '.html': { type: 'text/html; charset=utf-8', isText: true },
  '.js': { type: 'text/javascript; charset=utf-8', isText: true },
  '.css': { type: 'text/css; charset=utf-8', isText: true },
  '.svg': { type: 'image/svg+xml', isText: true },
  '.png': { type: 'image/png', isText: false },
  '.wav': { type: 'audio/wav', isText: false },
};

/** The files of the built console, by their paths from its folder. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>;

/** The folder of a page's files whose names have a hash; `index.html` lies beside it. */
export const ASSET_FOLDER = 'console';

/**
 * Reads the built console; undefined if it is not built. The names are paths from its folder, such
 * as `index.html` and `console/index-1a2b.js`. It holds a few hundred kilobytes in all.
 */
export function readConsoleFiles(folder: string): ConsoleFiles | undefined {
  if (!existsSync(join(folder, 'index.html'))) return undefined;
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [relative(folder, path), readConsoleFile(folder, path)]));
}

function readConsoleFile(folder: string, path: string): ConsoleFile {
  const known = TYPES[extname(path)];
  if (known === undefined) throw new Error(`${path}: the console serves no such kind of file`);
  const bytes = readFileSync(path);
  return {
    type: known.type,
    isImmutable: relative(folder, path).startsWith(`${ASSET_FOLDER}/`),
    plain: encoded(bytes),
    gzipped: known.isText ? encoded(gzipSync(bytes, { level: 9 })) : undefined,
  };
}

function encoded(bytes: Buffer): Encoded {
  const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
  return { bytes, etag: `"${hash}"` };
}
