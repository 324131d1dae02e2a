#!/usr/bin/env node
// The door of a fresh clone: checks the machine, installs and builds what is missing or has changed,
// then hands over to the verb. Node's built-ins only, since node_modules may not exist yet; and no
// syntax or API newer than Node 16, so that an old Node still reaches its one clear line.
import { enter } from './bootstrap/enter.mjs';

const VERBS = ['start', 'serve', 'test', 'test:e2e', 'dev', 'bench', 'parity', 'eval', 'build'];

enter(async (verb, ...args) => {
  if (verb === undefined || !VERBS.includes(verb)) {
    throw new Error(`usage: node deploy/bootstrap.mjs ${VERBS.join('|')} [arguments]`);
  }
  const { handOver } = await import('./bootstrap/verbs.mjs');
  await handOver(verb, args);
});
