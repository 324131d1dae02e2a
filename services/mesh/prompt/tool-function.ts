import { quoted } from '../client-text.ts';
import { MeshError } from '../errors.ts';
import { briefly, isRecord } from '../json-value.ts';

/** Most tools of one request. */
export const MAX_TOOLS = 512;

/** Most bytes of one function as JSON. */
const MAX_FUNCTION_BYTES = 256 * 1024;

/** Most objects and lists inside one another in a function. */
const MAX_DEPTH = 64;

/** A name has no character that ends it in an answer: white space, angle brackets, quotes. */
const NAME = /^[\w.:/-]{1,128}$/;

/** The function of a tool that an answer may call. */
export interface ToolFunction {
  readonly name: string;
  /** JSON Schema of the arguments, an object; null if any arguments will do. */
  readonly parameters: Readonly<Record<string, unknown>> | null;
  /** Whether the arguments of every call are held to the schema. */
  readonly isStrict: boolean;
}

/** A function as a request has it. */
export interface WrittenFunction {
  readonly value: unknown;
  /** The value as JSON. */
  readonly json: string;
  /** Path of the value in its request. */
  readonly at: string;
}

/** Reads the functions of a request; throws INVALID_REQUEST that names the value at fault. */
export function readToolFunctions(written: readonly WrittenFunction[]): ToolFunction[] {
  const names = new Set<string>();
  return written.map((one) => {
    const tool = readToolFunction(one);
    if (names.has(tool.name)) {
      throw refusal(`${one.at}.name`, `another name than ${quoted(tool.name)}, which is taken`);
    }
    names.add(tool.name);
    return tool;
  });
}

function readToolFunction({ value, json, at }: WrittenFunction): ToolFunction {
  const numBytes = Buffer.byteLength(json);
  if (numBytes > MAX_FUNCTION_BYTES) {
    throw refusal(at, `at most ${MAX_FUNCTION_BYTES} bytes of JSON, got ${numBytes}`);
  }
  if (!isRecord(value)) throw refusal(at, 'an object with a name', value);
  const { name, description = null, parameters = null, strict = null } = value;
  if (typeof name !== 'string' || !NAME.test(name)) {
    const allowed = 'a text of 1 to 128 letters, digits and characters of "_.:/-"';
    throw refusal(`${at}.name`, allowed, name);
  }
  if (description !== null && typeof description !== 'string') {
    throw refusal(`${at}.description`, 'a text', description);
  }
  if (strict !== null && typeof strict !== 'boolean') {
    throw refusal(`${at}.strict`, 'true or false', strict);
  }
  if (depthOf(value) > MAX_DEPTH) throw refusal(at, `at most ${MAX_DEPTH} levels deep`);
  const checked = parametersOf(parameters, `${at}.parameters`);
  return { name, parameters: checked, isStrict: strict === true };
}

/** Checks what readers of a schema rely on; which of its keywords have an effect is theirs. */
function parametersOf(schema: unknown, at: string): ToolFunction['parameters'] {
  if (schema === null) return null;
  if (!isRecord(schema)) throw refusal(at, 'a JSON Schema of an object', schema);
  const { type = 'object', properties = {}, required = [] } = schema;
  if (type !== 'object') throw refusal(`${at}.type`, '"object"', type);
  if (!isRecord(properties)) throw refusal(`${at}.properties`, 'an object', properties);
  for (const [name, property] of Object.entries(properties)) {
    if (isRecord(property) || typeof property === 'boolean') continue;
    throw refusal(`${at}.properties[${quoted(name)}]`, 'a JSON Schema', property);
  }
  if (!Array.isArray(required) || required.some((one: unknown) => typeof one !== 'string')) {
    throw refusal(`${at}.required`, 'a list of names', required);
  }
  return schema;
}

/** Counts the levels of a value, without recursion. */
function depthOf(value: unknown): number {
  let depth = 0;
  let level: readonly unknown[] = [value];
  while (level.length > 0) {
    const containers = level.filter((one) => typeof one === 'object' && one !== null);
    if (containers.length > 0) depth++;
    level = containers.flatMap((one) => Object.values(one));
  }
  return depth;
}

function refusal(at: string, allowed: string, ...received: readonly unknown[]): MeshError {
  const got = received.length === 0 ? '' : `, got ${briefly(received[0])}`;
  return new MeshError('INVALID_REQUEST', `${at} must be ${allowed}${got}`, { param: at });
}
