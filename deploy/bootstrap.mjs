#!/usr/bin/env node
// The entry point of a fresh clone: checks the machine, installs and builds the parts that are
// missing or changed, then runs the verb. Uses only Node's built-ins, since node_modules may not
// exist, and no syntax or API newer than Node 16, so that an old Node still prints its one clear
// line.
import { enter } from './bootstrap/enter.mjs';

const VERBS = [
  'start',
  'serve',
  'observe',
  'test',
  'test:e2e',
  'test:browser',
  'dev',
  'bench',
  'fuzz',
  'chaos',
  'parity',
  'eval',
  'build',
];

enter(async (verb, ...args) => {
  if (verb === undefined || !VERBS.includes(verb)) {
    throw new Error(`usage: node deploy/bootstrap.mjs ${VERBS.join('|')} [arguments]`);
  }
  const { handOver } = await import('./bootstrap/verbs.mjs');
  await handOver(verb, args);
});
