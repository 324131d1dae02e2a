import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';

const isThere = (program: string) => spawnSync(program, ['--version']).error === undefined;

/** Why a test that needs Prometheus and promtool is skipped; false if it is not. */
export const SKIP_WITHOUT_PROMETHEUS =
  isThere('prometheus') && isThere('promtool')
    ? false
    : 'Prometheus is not installed (apt-get install prometheus)';

/** Why a test that needs Alertmanager and amtool is skipped; false if it is not. */
export const SKIP_WITHOUT_ALERTMANAGER =
  isThere('amtool') && isThere('prometheus-alertmanager')
    ? false
    : 'Alertmanager is not installed (apt-get install prometheus-alertmanager)';

export interface ToolResult {
  readonly status: number | null;
  /** What it wrote to both of its outputs. */
  readonly output: string;
}

/** Runs promtool or amtool to its end, with `input` as standard input. */
export async function runObserverTool(
  [program = '', ...args]: readonly string[],
  input = '',
): Promise<ToolResult> {
  const child = spawn(program, args);
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await ended, output: `${stdout}${stderr}` };
}

/** What `promtool check metrics` says of names that others have given. */
const ALLOWED_FINDINGS: readonly RegExp[] = [
  // vLLM's names begin with "vllm:", and ours are beside them.
  /^(autoglm|vllm):\S+ metric names should not contain ':'$/,
  // vLLM's histogram of the tokens of a step.
  /^(autoglm|vllm):iteration_tokens_total non-counter metrics should not have "_total" suffix$/,
];

/** Returns what `promtool check metrics` finds on a page besides what is allowed. */
export async function metricFindings(page: string): Promise<string[]> {
  const { output } = await runObserverTool(['promtool', 'check', 'metrics'], page);
  const lines = output.split('\n').filter((line) => line !== '');
  return lines.filter((line) => !ALLOWED_FINDINGS.some((allowed) => allowed.test(line)));
}
