import { isRecord } from '#mesh/json-value.ts';

/** A file of a checkpoint that may hold chat templates. */
export interface TemplatePlace {
  readonly path: string;
  /** A template, several by name, or undefined if the file has none. */
  readonly template: unknown;
}

export interface ChosenTemplate {
  readonly text: string;
  readonly path: string;
  /** Templates that are there and not used, each with the reason. */
  readonly unused: readonly string[];
}

/**
 * Chooses the default template of the first place that has one; null if none has. Places come in
 * the order in which the reference implementation looks.
 */
export function chooseTemplate(places: readonly TemplatePlace[]): ChosenTemplate | null {
  const found = places.map(({ path, template }) => ({ path, named: namedTemplates(template) }));
  const chosen = found.find(({ named }) => named.has('default'));
  const text = chosen?.named.get('default');
  if (chosen === undefined || text === undefined) return null;
  const { path } = chosen;
  const unused = found.flatMap((place) =>
    [...place.named].flatMap(([name, other]) => {
      if (other === text) return [];
      const why = place === chosen ? 'only "default" is used' : `that of ${path} is used`;
      return [`${place.path}: the chat template "${name}" has no effect, ${why}`];
    }),
  );
  return { text, path, unused };
}

/**
 * Returns templates by name. A list of `{name, template}` is how transformers 4 stored several, an
 * object how later versions do.
 */
function namedTemplates(template: unknown): ReadonlyMap<string, string> {
  if (typeof template === 'string') return new Map([['default', template]]);
  const entries = Array.isArray(template)
    ? template.filter(isRecord).map((one) => [one['name'], one['template']])
    : Object.entries(isRecord(template) ? template : {});
  return new Map(
    entries.flatMap(([name, text]) =>
      typeof name === 'string' && typeof text === 'string' ? [[name, text] as const] : [],
    ),
  );
}
