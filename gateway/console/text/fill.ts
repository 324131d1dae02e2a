/** Values for the names in braces of a text. */
export type Fillings = Readonly<Record<string, string | number>>;

/** Fills the names in braces of a text; one without a value stays, so that it is seen. */
export function fill(text: string, fillings: Fillings = {}): string {
  return text.replaceAll(/\{(\w+)\}/g, (name, key: string) => String(fillings[key] ?? name));
}
