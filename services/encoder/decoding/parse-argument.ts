/** Returns a number of the JSON object that is a decoder program's only argument. */
export function parseArgument(key: string): number {
  const value: unknown = Reflect.get(Object(JSON.parse(process.argv[2] ?? '{}')), key);
  if (typeof value === 'number') return value;
  throw new Error(`a decoder is started with a JSON object as argument; it has no "${key}"`);
}
