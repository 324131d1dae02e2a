import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

/**
 * One TypeScript file and the files of the package that it imports; paths are from the package's
 * root.
 */
export interface SourceFile {
  readonly path: string;
  readonly imports: readonly string[];
  /** Imports that remain at run time, without imports of types. */
  readonly runtimeImports: readonly string[];
  readonly numLines: number;
}

const FOLDERS = ['gateway', 'services', 'native', 'deploy', 'protos/gen', 'test'];

/** Folders to which `#alias/…` points, as in `imports` of package.json for sources. */
const ALIASES: readonly (readonly [string, string])[] = [
  ['#mesh/', 'services/mesh/'],
  ['#native', 'native/index.ts'],
  ['#protos/', 'protos/gen/'],
  ['#backbone/', 'services/llm-backbone/'],
  ['#encoder/', 'services/encoder/'],
  ['#vision/', 'services/vision-encoder/'],
  ['#speech/', 'services/speech-encoder/'],
  ['#gateway/', 'gateway/'],
  ['#deploy/', 'deploy/'],
  ['#test/', 'test/'],
];

/** Reads every TypeScript file of the package. */
export function readSourceTree(): SourceFile[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(PACKAGE_ROOT, folder), { recursive: true, withFileTypes: true }),
  )
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => readSource(relative(PACKAGE_ROOT, join(entry.parentPath, entry.name))));
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(PACKAGE_ROOT, path), 'utf8');
  return {
    path,
    imports: importsOf(path, text),
    runtimeImports: importsOf(path, text.replaceAll(/^(import|export) type [^;]*;/gm, '')),
    numLines: text.split('\n').length - 1,
  };
}

function importsOf(path: string, text: string): string[] {
  const specifiers = ts.preProcessFile(text, true, true).importedFiles;
  return specifiers.flatMap(({ fileName }) => resolveSpecifier(path, fileName) ?? []);
}

/** Files that the build of the console copies; they import nothing. */
const ASSET = /\.(css|png|wav)$/;

/** Returns the source that a specifier names, or undefined for a package or an asset. */
function resolveSpecifier(importer: string, specifier: string): string | undefined {
  if (ASSET.test(specifier)) return undefined;
  if (specifier.startsWith('.')) return join(dirname(importer), specifier);
  const alias = ALIASES.find(([prefix]) => specifier.startsWith(prefix));
  return alias === undefined ? undefined : specifier.replace(alias[0], alias[1]);
}

/** Returns the part of the package to which a file belongs, as the dependency rule names it. */
export function partOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'services' ? `${top}/${second}` : top;
}
