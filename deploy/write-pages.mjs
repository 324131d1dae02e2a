#!/usr/bin/env node
// `node deploy/write-pages.mjs`: the part of `npm run gen` that writes the pages made of tables in
// the source.
import { spawnSync } from 'node:child_process';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { ROOT } from './bootstrap/paths.mjs';

/** The pages, each with the program that writes it. */
export const PAGES = [
  { page: 'services/mesh/ERRORS.md', writer: 'deploy/error-page/main.ts' },
  { page: 'gateway/FIELDS.md', writer: 'gateway/field-page/main.ts' },
];

/** Writes the pages below `folder`, at the places that they have in the package. */
export function writePages(folder) {
  for (const { page, writer } of PAGES) {
    const args = ['--import', 'tsx', '-C', 'source', writer, folder];
    const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
    if (status !== 0) throw new Error(`${writer} did not write ${page}`);
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) writePages(ROOT);
