#!/usr/bin/env node
// `npm run gen:check`: generates the code of protos/ into a scratch folder and compares it with the
// committed code.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ROOT } from './bootstrap/paths.mjs';
import { filesUnder } from './bootstrap/stamp.mjs';

const COMMITTED = join(ROOT, 'protos', 'gen');

function generate(folder) {
  const buf = join(ROOT, 'node_modules', '.bin', 'buf');
  // `out` of buf.gen.yaml is relative to --output.
  const run = spawnSync(buf, ['generate', '--output', folder], { cwd: ROOT, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`buf generate failed:\n${run.stderr}`);
}

/** Returns the contents of the files below `folder`, by path. */
function contents(folder) {
  const files = filesUnder([relative(ROOT, folder)], () => true);
  return new Map(files.map((file) => [relative(folder, file), readFileSync(file, 'utf8')]));
}

function differences(committed, generated) {
  const names = [...new Set([...committed.keys(), ...generated.keys()])].sort();
  return names.filter((name) => committed.get(name) !== generated.get(name));
}

const scratch = mkdtempSync(join(tmpdir(), 'autoglm-gen-'));
try {
  generate(scratch);
  const stale = differences(contents(COMMITTED), contents(join(scratch, 'protos', 'gen')));
  for (const name of stale)
    process.stderr.write(`protos/gen/${name} is not what the protos give\n`);
  if (stale.length > 0) process.stderr.write('run "npm run gen" and commit the result\n');
  process.exitCode = stale.length > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
