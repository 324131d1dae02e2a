import { type TSchema, Type } from 'typebox';
import type { OptionSchema } from '#mesh/options.ts';
import { replicasFlag, replicasOption } from '../local/config/replicas.ts';
import { SECTION_ONLY_KEYS } from '../local/config/section-only-keys.ts';
import { ROLES } from '../local/roles.ts';

/**
 * Every flag of `autoglm serve`: `--config` and the options of all processes in one flat list, as
 * in vLLM. None has a default here, so that only flags that were typed win over the file.
 */
export const serveOptions: OptionSchema = Type.Object(
  {
    config: Type.Optional(
      Type.String({
        description: 'Configuration file; its own comments list the keys. Flags win over it',
        minLength: 1,
      }),
    ),
    ...processOptions(),
  },
  { additionalProperties: false },
);

function processOptions(): Record<string, TSchema> {
  const options: Record<string, TSchema> = {};
  for (const role of ROLES) {
    options[replicasFlag(role)] = Type.Optional(replicasOption(role));
    for (const [name, schema] of Object.entries(role.options.properties)) {
      if (!SECTION_ONLY_KEYS.has(name)) options[name] ??= schema;
    }
  }
  return options;
}
