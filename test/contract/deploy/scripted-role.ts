import { createServer } from 'node:net';
import { Type } from 'typebox';
import type { ProcessConfig } from '#deploy/local/config.ts';
import { type OptionValues, resolveOptions } from '#mesh/options.ts';

export const scriptedOptions = Type.Object({
  name: Type.String(),
  behaviour: Type.Union([
    Type.Literal('obey'),
    /** Exits with status 3 at once. */
    Type.Literal('refuse'),
    /** Ignores SIGTERM. */
    Type.Literal('stubborn'),
  ]),
  host: Type.String({ default: '127.0.0.1' }),
  port: Type.Integer(),
  drainTimeoutS: Type.Number(),
});

/** The process called "gateway" is the one whose health tells the supervisor that the mesh is ready. */
export async function scripted(name: string, values: OptionValues): Promise<ProcessConfig> {
  return {
    role: { name, options: scriptedOptions, main: 'test/contract/deploy/scripted-process' },
    values: resolveOptions(scriptedOptions, { name, port: await freePort(), ...values }),
  };
}

/** A port nobody held a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('no port'));
      });
    });
  });
}
