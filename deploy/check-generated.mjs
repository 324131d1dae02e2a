#!/usr/bin/env node
// `npm run gen:check`: generates the code of protos/ and the pages made of tables into a scratch
// folder and compares them with the committed ones.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { ROOT } from './bootstrap/paths.mjs';
import { filesUnder } from './bootstrap/stamp.mjs';
import { PAGES, writePages } from './write-pages.mjs';

const COMMITTED = join(ROOT, 'protos', 'gen');

function generate(folder) {
  const buf = join(ROOT, 'node_modules', '.bin', 'buf');
  // `out` of buf.gen.yaml is relative to --output.
  const run = spawnSync(buf, ['generate', '--output', folder], { cwd: ROOT, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`buf generate failed:\n${run.stderr}`);
  for (const { page } of PAGES) mkdirSync(join(folder, dirname(page)), { recursive: true });
  writePages(folder);
}

/** Returns the contents of the files below `folder`, by path. */
function contents(folder) {
  const files = filesUnder([relative(ROOT, folder)], () => true);
  return new Map(files.map((file) => [relative(folder, file), readFileSync(file, 'utf8')]));
}

/** Returns the committed files that differ from those generated in `folder`. */
function staleFiles(folder) {
  const [committed, generated] = [COMMITTED, join(folder, 'protos', 'gen')].map(contents);
  const names = [...new Set([...committed.keys(), ...generated.keys()])].sort();
  const code = names.filter((name) => committed.get(name) !== generated.get(name));
  const textOf = (root, page) => readFileSync(join(root, page), 'utf8');
  const pages = PAGES.map(({ page }) => page);
  return [
    ...code.map((name) => `protos/gen/${name}`),
    ...pages.filter((page) => textOf(ROOT, page) !== textOf(folder, page)),
  ];
}

const scratch = mkdtempSync(join(tmpdir(), 'autoglm-gen-'));
try {
  generate(scratch);
  const stale = staleFiles(scratch);
  for (const name of stale) process.stderr.write(`${name} is not what its sources give\n`);
  if (stale.length > 0) process.stderr.write('run "npm run gen" and commit the result\n');
  process.exitCode = stale.length > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
