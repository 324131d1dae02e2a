import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ROLES } from '#deploy/local/roles.ts';
import { secretVariables } from '#mesh/command-line/environment.ts';
import { toFlags } from '#mesh/command-line/flags.ts';
import { parseHostPort } from '#mesh/port-probe.ts';

/** First port of Linux's default range for outgoing connections. */
const FIRST_OUTGOING_PORT = 32_768;

interface NumberFacts {
  readonly type?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

describe('the options of the processes', () => {
  it('have a lower and an upper bound if they are numbers', () => {
    const numbers = ROLES.flatMap(({ name: role, options }) =>
      Object.entries<NumberFacts>(options.properties)
        .filter(([, { type }]) => type === 'integer' || type === 'number')
        .map(([name, facts]) => ({ name: `${role} ${name}`, ...facts })),
    );
    const unbounded = numbers.filter(
      ({ minimum, exclusiveMinimum, maximum }) =>
        (minimum ?? exclusiveMinimum) === undefined || maximum === undefined,
    );

    assert(numbers.length > 30);
    assert.deepEqual(
      unbounded.map(({ name }) => name),
      [],
    );
  });
});

describe('a value that may hold a password', () => {
  const values = Object.fromEntries(
    ['registry', 'otlpTracesEndpoint', 'otlpMetricsEndpoint', 'apiKey'].map((name) => [
      name,
      'http://user:password@host.example',
    ]),
  );
  for (const { name, options } of ROLES) {
    it(`is no argument of the process, which everybody on the machine may list: ${name}`, () => {
      const flags = toFlags(options, values);
      const variables = Object.keys(secretVariables(options, values));

      assert.deepEqual(flags, []);
      assert(variables.includes('AUTOGLM_REGISTRY'), String(variables));
      assert(variables.includes('AUTOGLM_OTLP_TRACES_ENDPOINT'), String(variables));
    });
  }
});

describe('the default ports', () => {
  const defaults = ROLES.flatMap(({ name, options }) => {
    const { port, listen }: Record<string, { readonly default?: unknown }> = options.properties;
    const value = port === undefined ? parseHostPort(String(listen?.default)).port : port.default;
    return [{ name, port: Number(value) }];
  });

  it('are never those of an outgoing connection', () => {
    assert.equal(defaults.length, 4);
    for (const { name, port } of defaults) assert(port < FIRST_OUTGOING_PORT, `${name}: ${port}`);
  });

  it('differ from each other', () => {
    assert.equal(new Set(defaults.map(({ port }) => port)).size, defaults.length);
  });
});
