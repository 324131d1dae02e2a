// Runs the stages of the set-up: one line each, with the time it took, and on failure what the
// tool printed.
import { spawn } from 'node:child_process';
import { ROOT } from './paths.mjs';

/** Of a failed tool's output: what went wrong tends to stand first or last. */
const FIRST_LINES = 15;
const LAST_LINES = 45;

/** Runs `work`, printing `title ... 1.2 s` around it. Set-up talks on stderr: stdout is the verb's. */
export async function stage(title, work) {
  const start = Date.now();
  process.stderr.write(`[set-up] ${title} ...`);
  try {
    await work();
  } catch (error) {
    process.stderr.write(' failed\n');
    throw error;
  }
  process.stderr.write(` ${((Date.now() - start) / 1000).toFixed(1)} s\n`);
}

/** Runs a tool quietly; rejects with its output when it fails. */
export function runTool(command, args) {
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = [];
  const keep = (chunk) => {
    lines.push(
      ...String(chunk)
        .split('\n')
        .filter((line) => line.trim() !== ''),
    );
    lines.splice(FIRST_LINES, Math.max(0, lines.length - FIRST_LINES - LAST_LINES));
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return outcome(child).then((status) => {
    if (status === 0) return;
    throw new Error(`${lines.join('\n')}\n${[command, ...args].join(' ')}: exit status ${status}`);
  });
}

/** Runs a program in the foreground, with this process's streams; resolves to its exit status. */
export function runForeground(command, args) {
  return outcome(spawn(command, args, { cwd: ROOT, stdio: 'inherit' }));
}

/** Runs a program whose output is shown as it comes; resolves to its exit status and that output. */
export async function runEchoing(command, args) {
  const child = spawn(command, args, { cwd: ROOT, stdio: ['inherit', 'pipe', 'inherit'] });
  const chunks = [];
  child.stdout.on('data', (chunk) => {
    chunks.push(chunk);
    process.stdout.write(chunk);
  });
  const status = await outcome(child);
  return { status, output: Buffer.concat(chunks).toString() };
}

/** Resolves to a child's exit status; ending this process ends the child. */
function outcome(child) {
  const forward = (signal) => child.kill(signal);
  process.on('SIGINT', forward);
  process.on('SIGTERM', forward);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? `(${signal})`));
  }).finally(() => {
    process.off('SIGINT', forward);
    process.off('SIGTERM', forward);
  });
}
