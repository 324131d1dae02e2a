import { MeshError } from '#mesh/errors.ts';
import { EngineError } from '#native';

/**
 * Runs a tool for developers and sets the exit status that it resolves to. What was typed wrong, or
 * what the engine refuses, is one line and status 2.
 */
export async function runTool(
  name: string,
  main: (args: readonly string[]) => Promise<number>,
): Promise<void> {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error: unknown) {
    if (!(error instanceof MeshError || error instanceof EngineError)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exitCode = 2;
  }
}
