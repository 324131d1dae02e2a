// Runs the stages of the set-up. Prints one line for each, with the time it took, and the tool's
// output if it failed.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Interruption, outcome, throwIfEnding } from './ending.mjs';
import { ROOT } from './paths.mjs';
import { beginProgress } from './progress.mjs';

/**
 * Lines of a failed tool's output that are shown: the cause is usually among the first or the last.
 */
const FIRST_LINES = 15;
const LAST_LINES = 45;

/** Milliseconds after which a tool that was told to end is killed; a container has 10 s in all. */
const TOOL_GRACE_MS = 2000;

const TOOL = join(ROOT, 'deploy', 'bootstrap', 'tool.mjs');

/**
 * Runs `work` and prints `title ... 1.2 s` around it, on stderr, because stdout belongs to the
 * verb. `work` gets a function that it may tell which share of it is done.
 */
export async function stage(title, work) {
  const start = Date.now();
  const progress = beginProgress(title);
  try {
    await work(progress.report);
  } catch (error) {
    progress.end(error instanceof Interruption ? 'stopped' : 'failed');
    throw error;
  }
  progress.end(`${((Date.now() - start) / 1000).toFixed(1)} s`);
}

/** Runs a tool quietly; rejects with its output if it fails. `onLine` gets each line of it. */
export async function runTool(command, args, onLine = () => {}) {
  const child = spawnTool(command, args, { stderr: 'pipe' });
  const lines = [];
  const keep = (chunk) => {
    const found = String(chunk)
      .split('\n')
      .filter((line) => line.trim() !== '');
    found.forEach(onLine);
    lines.push(...found);
    lines.splice(FIRST_LINES, Math.max(0, lines.length - FIRST_LINES - LAST_LINES));
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const status = await toolStatus(child);
  if (status === 0) return;
  throw new Error(`${lines.join('\n')}\n${[command, ...args].join(' ')}: exit status ${status}`);
}

/** Runs a tool and shows its output as it comes; resolves to its exit status and that output. */
export async function runEchoing(command, args) {
  const child = spawnTool(command, args, { stderr: 'inherit' });
  const chunks = [];
  child.stdout.on('data', (chunk) => {
    chunks.push(chunk);
    process.stdout.write(chunk);
  });
  const status = await toolStatus(child);
  return { status, output: Buffer.concat(chunks).toString() };
}

/** Starts a tool as the leader of a process group, which ends with this process. */
function spawnTool(command, args, { stderr }) {
  return spawn(process.execPath, [TOOL, command, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', stderr, 'ipc'],
    detached: true,
  });
}

async function toolStatus(child) {
  let timer;
  const { code, signal } = await outcome(child, (received) => {
    signalGroup(child.pid, received);
    // npm would first undo its work, which the next set-up does anyway, so it is killed soon.
    timer = timer || setTimeout(() => signalGroup(child.pid, 'SIGKILL'), TOOL_GRACE_MS);
  }).finally(() => clearTimeout(timer));
  // The next stage must not begin, even if the tool was done when the signal came.
  throwIfEnding();
  return code ?? `(${signal})`;
}

function signalGroup(leader, signal) {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * Runs a Node program in the foreground with this process's streams; resolves to its exit status.
 */
export async function runForeground(args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  const { code, signal } = await outcome(child, (received) => child.kill(received));
  if (code !== null) return code;
  process.stderr.write(`${args.join(' ')}: ended by ${signal}\n`);
  return 1;
}
