/**
 * Returns the devices that a text names, in its order: `cpu:0,cpu:1` names two, `cpu:0,2` one device of
 * two cores.
 */
export function deviceList(text: string): readonly string[] {
  return text.split(/,(?=\s*[a-z])/i).map((name) => name.trim());
}
