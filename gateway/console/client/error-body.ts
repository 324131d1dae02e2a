/** Returns the message of an OpenAI error body; undefined if a text is none. */
export function errorMessageIn(text: string): string | undefined {
  try {
    const value: { readonly error?: { readonly message?: unknown } } | null = JSON.parse(text);
    const message = value?.error?.message;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
