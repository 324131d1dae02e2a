import { Type } from 'typebox';
import type { ProcessConfig } from '#deploy/local/config/config.ts';
import { type OptionValues, resolveOptions } from '#mesh/options.ts';
import { freePort } from '#test/free-port.ts';

export const scriptedOptions = Type.Object({
  name: Type.String(),
  behaviour: Type.Union([
    Type.Literal('obey'),
    /** Exits with status 3 at once. */
    Type.Literal('refuse'),
    /** Starts two seconds later than others, and says that it loads. */
    Type.Literal('late'),
    /** Answers health checks with 503. */
    Type.Literal('unready'),
    /** Ignores SIGTERM. */
    Type.Literal('stubborn'),
  ]),
  host: Type.String({ default: '127.0.0.1' }),
  port: Type.Integer(),
  drainTimeoutS: Type.Number(),
  livenessTimeoutS: Type.Number({ default: 0 }),
});

/**
 * Returns the configuration of a scripted process. The one called "gateway" tells the supervisor by
 * its health that the mesh is ready.
 */
export async function scripted(name: string, values: OptionValues): Promise<ProcessConfig> {
  const role = name.replace(/-\d+$/, '');
  return {
    role: { name: role, options: scriptedOptions, main: 'test/contract/deploy/scripted-process' },
    name,
    follows: [],
    values: resolveOptions(scriptedOptions, { name, port: await freePort(), ...values }),
  };
}
