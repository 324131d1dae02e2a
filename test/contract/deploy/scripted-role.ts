import { Type } from 'typebox';
import type { ProcessConfig } from '#deploy/local/config.ts';
import { type OptionValues, resolveOptions } from '#mesh/options.ts';
import { freePort } from '#test/free-port.ts';

export const scriptedOptions = Type.Object({
  name: Type.String(),
  behaviour: Type.Union([
    Type.Literal('obey'),
    /** Exits with status 3 at once. */
    Type.Literal('refuse'),
    /** Answers health checks with 503. */
    Type.Literal('unready'),
    /** Ignores SIGTERM. */
    Type.Literal('stubborn'),
  ]),
  host: Type.String({ default: '127.0.0.1' }),
  port: Type.Integer(),
  drainTimeoutS: Type.Number(),
});

/**
 * Returns the configuration of a scripted process. The one called "gateway" tells the supervisor by
 * its health that the mesh is ready.
 */
export async function scripted(name: string, values: OptionValues): Promise<ProcessConfig> {
  return {
    role: { name, options: scriptedOptions, main: 'test/contract/deploy/scripted-process' },
    values: resolveOptions(scriptedOptions, { name, port: await freePort(), ...values }),
  };
}
