#!/usr/bin/env node
// `node deploy/write-notice.mjs`: writes NOTICE, which names everything in this repository or
// loaded by it that others made, and licences/packages.txt with the texts that the packages carry.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from './bootstrap/paths.mjs';

const OURS = `autoglm-mesh
Licensed under the Apache License, Version 2.0; see LICENSE.

The weights, screenshots and recordings of deploy/models/phone-nano, and the fixtures below
test/testdata, were made for this project and stand under the same licence. The recordings are
speech synthesised by espeak-ng.

Source code of others in this repository, with its licence beside it:

| source | licence | text |
|---|---|---|
| native/third_party/nlohmann (JSON for Modern C++) | MIT | native/third_party/nlohmann/LICENSE |
| native/third_party/doctest | MIT | native/third_party/doctest/LICENSE |

Libraries that npm packages carry in compiled form, unmodified:

| library | in the package | licence | text |
|---|---|---|---|
| libmpg123 | mpg123-decoder | LGPL-2.1 | licences/LGPL-2.1.txt |
| libopus | opus-decoder | BSD-3-Clause | https://opus-codec.org/license |
| libvips and the libraries below it | @img/sharp-libvips-* | LGPL-3.0-or-later and others, listed in the package's README.md | licences/LGPL-3.0.txt, licences/GPL-3.0.txt |

npm packages that a mesh needs when it runs, with those of other machines than this one. The texts
that they carry are in licences/packages.txt:
`;

/** Returns the packages of a lockfile that a running mesh needs: paths, names and licences. */
export function runtimePackages(lockfile) {
  return Object.entries(lockfile.packages)
    .filter(([path, one]) => path !== '' && !one.dev && !one.devOptional)
    .map(([path, { license }]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
      return { path, name, license };
    });
}

/** Writes NOTICE for a lockfile. */
export function noticeOf(lockfile) {
  const rows = runtimePackages(lockfile).map(({ name, license }) => `| ${name} | ${license} |`);
  const table = [...new Set(rows)].sort().join('\n');
  return `${OURS}\n| package | licence |\n|---|---|\n${table}\n`;
}

/** Returns the files below a folder of a package, by their paths in the package. */
function filesIn(folder, name) {
  return readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => relative(folder, join(one.parentPath, one.name)));
}

/** Returns the text of the licence files of an installed package; "" if it carries none. */
function licenceText(path) {
  const folder = join(ROOT, path);
  if (!existsSync(folder)) return '';
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => /^(licen[cs]e|copying|notice)/i.test(name))
    .flatMap((one) => (one.isDirectory() ? filesIn(folder, one.name) : [one.name]))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim())
    .join('\n\n');
}

/** Returns who made a package, from its own description: what stands for a text that it lacks. */
function makerOf(path) {
  const manifest = JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8'));
  const { author, repository, homepage } = manifest;
  const name = typeof author === 'object' ? author.name : author;
  const place = typeof repository === 'object' ? repository.url : (repository ?? homepage);
  return `The package carries no text of its licence. Made by ${name ?? 'its contributors'}, ${place}.`;
}

/** Writes the texts that the installed packages carry; packages of one text stand together. */
function packageTexts(lockfile) {
  const byText = new Map();
  for (const { path, name, license } of runtimePackages(lockfile)) {
    if (!existsSync(join(ROOT, path))) continue;
    const text = licenceText(path) || makerOf(path);
    const title = `${name} (${license})`;
    byText.set(text, [...new Set([...(byText.get(text) ?? []), title])]);
  }
  const line = '='.repeat(80);
  const parts = [...byText].map(([text, names]) => [names.sort().join('\n'), text]);
  parts.sort(([a], [b]) => (a < b ? -1 : 1));
  return parts.map(([names, text]) => `${line}\n${names}\n${line}\n\n${text}\n`).join('\n');
}

if (process.argv[1] === import.meta.filename) {
  const lockfile = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  writeFileSync(join(ROOT, 'NOTICE'), noticeOf(lockfile));
  writeFileSync(join(ROOT, 'licences', 'packages.txt'), packageTexts(lockfile));
}
