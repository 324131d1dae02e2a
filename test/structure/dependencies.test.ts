import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  crowdedFolders,
  FOLDER_SIZE,
  roomCycles,
  waysToNative,
  wrongParts,
  wrongRooms,
} from './rules.ts';
import { partOf, readSourceTree, type SourceFile } from './source-tree.ts';

const TREE = readSourceTree();
const FILES = new Map(TREE.map((file) => [file.path, file]));

/**
 * Files that are started from outside: processes, commands, tests, and programs that they or a
 * bootstrap verb run.
 */
const ENTRY_POINTS = [
  // Threads that a process starts by the path of their file.
  /-worker\.ts$/,
  /\.test\.ts$/,
  /\/main\.tsx?$/,
  /^services\/(vision|speech)-encoder\/decoder-main\.ts$/,
  /^test\/contract\/llm-backbone\/load-once\.ts$/,
  /^test\/contract\/encoder\/(misbehaving-decoder|rows-taker|sharing-encoder)\.ts$/,
  /^deploy\/examples\//,
  /^deploy\/cli\/dev\.ts$/,
  /^native\/print-gpus\.ts$/,
  /^deploy\/observability\/write-dashboards\.ts$/,
  /\.d\.ts$/,
  /^test\/perf\/(bench|neighbour|row-sender|watched-process|traces\/traced-path)\.ts$/,
  /^test\/parity\/parity\.ts$/,
  /^test\/eval\/eval\.ts$/,
  /^test\/fuzz\/fuzz\.ts$/,
  /^test\/chaos\/chaos\.ts$/,
  /^test\/contract\/deploy\/(scripted-process|poisoned-encoder|run-supervisor)\.ts$/,
  /^test\/contract\/failover\/standing-(backbone|encoder)\.ts$/,
];

/**
 * Finds a cycle of imports through `start`, or returns undefined; `done` holds files known to be in
 * no cycle.
 */
function findCycle(
  start: SourceFile,
  done: Set<string>,
  trail: readonly string[] = [],
): readonly string[] | undefined {
  if (trail.includes(start.path)) return [...trail.slice(trail.indexOf(start.path)), start.path];
  if (done.has(start.path)) return undefined;
  for (const path of start.runtimeImports) {
    const next = FILES.get(path);
    const cycle = next && findCycle(next, done, [...trail, start.path]);
    if (cycle !== undefined) return cycle;
  }
  done.add(start.path);
  return undefined;
}

describe('the source tree', () => {
  it('lets one part import another only in the directions the design allows', () => {
    assert.deepEqual(wrongParts(TREE), []);
  });

  it('leads from the gateway, the deployment and what all share to the addon on no path', () => {
    assert.deepEqual(waysToNative(TREE), []);
  });

  it('lets one room of a part import another only as the table says', () => {
    assert.deepEqual(wrongRooms(TREE), []);
  });

  it('has no two rooms or files in a folder that need each other, types included', () => {
    assert.deepEqual(roomCycles(TREE), []);
  });

  it('cuts a folder into rooms before it is crowded', (t) => {
    for (const one of crowdedFolders(TREE, FOLDER_SIZE.aim)) t.diagnostic(`${one}, over twenty`);

    assert.deepEqual(crowdedFolders(TREE, FOLDER_SIZE.limit), []);
  });

  it('imports only files that exist', () => {
    const missing = TREE.flatMap(({ path, imports }) =>
      imports.filter((one) => !FILES.has(one)).map((one) => `${path} imports ${one}`),
    );

    assert.deepEqual(missing, []);
  });

  it('reaches every file from an entry point', () => {
    const reached = new Set<string>();
    const pending = TREE.filter(({ path }) => ENTRY_POINTS.some((entry) => entry.test(path)));
    for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
      if (reached.has(file.path)) continue;
      reached.add(file.path);
      pending.push(...file.imports.flatMap((path) => FILES.get(path) ?? []));
    }
    const idle = TREE.map(({ path }) => path).filter((path) => !reached.has(path));
    // The generator writes a file for each proto, whether it is imported or not.
    assert.deepEqual(
      idle.filter((path) => partOf(path) !== 'protos'),
      [],
    );
  });

  it('has no import cycle at run time', () => {
    const done = new Set<string>();
    const cycles = TREE.flatMap((file) => {
      const cycle = findCycle(file, done);
      return cycle === undefined ? [] : [cycle.join(' → ')];
    });

    assert.deepEqual(cycles, []);
  });

  it('names no file after nothing', () => {
    const vague = /(^|\/)(utils?|helpers?|common|misc|new_.*|.*_v2)(\/|\.ts$)/;

    assert.deepEqual(
      TREE.map(({ path }) => path).filter((path) => vague.test(path) && partOf(path) !== 'protos'),
      [],
    );
  });

  it('keeps files at a size one can hold in mind', (t) => {
    const large = TREE.filter(({ path, numLines }) => partOf(path) !== 'protos' && numLines > 300);
    for (const { path, numLines } of large) t.diagnostic(`${path}: ${numLines} lines, over 300`);

    assert.deepEqual(
      large.filter(({ numLines }) => numLines > 600),
      [],
    );
  });
});
