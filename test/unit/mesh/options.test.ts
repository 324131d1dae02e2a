import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Type from 'typebox';
import { parseFlags, toFlags } from '#mesh/command-line/flags.ts';
import { helpText, parseSection, resolveOptions } from '#mesh/options.ts';
import { refusalOf } from '#test/refusal.ts';

const schema = Type.Object(
  {
    port: Type.Integer({ minimum: 0, maximum: 65535, default: 8000, description: 'TCP port' }),
    dtype: Type.Union([Type.Literal('auto'), Type.Literal('half')], {
      default: 'auto',
      description: 'weights in memory',
    }),
    servedModelName: Type.Optional(Type.Array(Type.String(), { description: 'names' })),
    enableCache: Type.Boolean({ default: true, description: 'prefix cache' }),
    apiKey: Type.Optional(Type.String({ description: 'secret', secret: true })),
  },
  { additionalProperties: false },
);

describe('options', () => {
  it('fills in defaults', () => {
    assert.deepEqual(resolveOptions(schema, {}, {}), {
      port: 8000,
      dtype: 'auto',
      enableCache: true,
    });
  });

  it('reads flags, lists of several values and negated booleans', () => {
    const flags = ['--port', '9000', '--served-model-name', 'a', 'b', '--no-enable-cache'];

    const values = resolveOptions(schema, parseFlags(schema, flags), {});

    assert.equal(values.port, 9000);
    assert.deepEqual(values.servedModelName, ['a', 'b']);
    assert.equal(values.enableCache, false);
  });

  it('reads the kebab-case keys of a configuration section', () => {
    const values = resolveOptions(schema, parseSection('x', { 'served-model-name': ['a'] }), {});

    assert.deepEqual(values.servedModelName, ['a']);
  });

  it('reads a mapping in a section as the JSON text of a flag', () => {
    assert.deepEqual(parseSection('x', { 'limit-mm-per-prompt': { image: 3 }, backbone: ['a'] }), {
      limitMmPerPrompt: '{"image":3}',
      backbone: ['a'],
    });
  });

  it('takes a secret from its environment variable and never writes it into flags', () => {
    const values = resolveOptions(schema, {}, { AUTOGLM_API_KEY: 'k' });

    assert.equal(values.apiKey, 'k');
    assert.ok(!toFlags(schema, values).join(' ').includes('k '));
    assert.ok(!toFlags(schema, values).some((flag) => flag.startsWith('--api-key')));
  });

  it('prefers an explicit value to the environment', () => {
    assert.equal(resolveOptions(schema, { apiKey: 'a' }, { AUTOGLM_API_KEY: 'b' }).apiKey, 'a');
  });

  it('writes flags that read back as the same values', () => {
    const values = resolveOptions(
      schema,
      { port: 1, servedModelName: ['a', 'b'], enableCache: false },
      {},
    );

    const again = resolveOptions(schema, parseFlags(schema, toFlags(schema, values)), {});

    assert.deepEqual(again, values);
  });

  it('names the key, the bound and the value of a number out of range', () => {
    const error = refusalOf(() => resolveOptions(schema, { port: 70000 }, {}));

    assert.equal(error.param, 'port');
    assert.match(error.message, /"port".*<= 65535.*70000/);
  });

  it('names the choices of a value that is none of them', () => {
    const error = refusalOf(() => resolveOptions(schema, { dtype: 'int4' }, {}));

    assert.match(error.message, /"dtype".*auto, half.*"int4"/);
  });

  it('names an unknown key and the known ones', () => {
    const error = refusalOf(() => resolveOptions(schema, { prot: 1 }, {}));

    assert.match(error.message, /unknown key "prot".*port/);
  });

  for (const port of ['3.5', '1e3', '0x10', ' 5 ', '-1', 'NaN', '', '99999999999999999999', '5k']) {
    it(`refuses ${JSON.stringify(port)} as a port, in a flag and in a file`, () => {
      const flags = parseFlags(schema, [`--port=${port}`]);

      assert.match(refusalOf(() => resolveOptions(schema, flags, {})).message, /^key "port": must/);
    });
  }

  for (const port of [3.5, Number.NaN, Number.POSITIVE_INFINITY, -1, 1e20, true]) {
    it(`refuses the number ${port} of a file as a port`, () => {
      const error = refusalOf(() => resolveOptions(schema, { port }, {}));

      assert.match(error.message, new RegExp(`^key "port": must .*got ${port}`.replace('+', '.')));
    });
  }

  const numbers = Type.Object({ timeS: Type.Number({ minimum: 0, maximum: 100 }) });
  for (const [text, number] of Object.entries({ '1e1': 10, '.5': 0.5, '2.': 2, '1E-1': 0.1 })) {
    it(`reads ${text} as a number of seconds`, () => {
      assert.equal(resolveOptions(numbers, { timeS: text }).timeS, number);
    });
  }

  for (const text of ['1e999', 'inf', 'nan', '0x1', '1_0', '1s', '-']) {
    it(`refuses ${text} as a number of seconds`, () => {
      assert.match(refusalOf(() => resolveOptions(numbers, { timeS: text })).message, /"time-s"/);
    });
  }

  for (const [text, value] of Object.entries({ on: true, False: false, '0': false, yes: true })) {
    it(`reads ${text} as a switch`, () => {
      assert.equal(resolveOptions(schema, { enableCache: text }, {}).enableCache, value);
    });
  }

  it('refuses a word that is no switch', () => {
    const error = refusalOf(() => resolveOptions(schema, { enableCache: 'maybe' }, {}));

    assert.match(error.message, /^key "enable-cache": must be boolean, got "maybe"/);
  });

  it('refuses digits that stand for a text without quotes, since some may be lost', () => {
    const error = refusalOf(() => resolveOptions(schema, { apiKey: 123 }, {}));

    assert.match(error.message, /"api-key": must be string, got 123; in a file, put it in quotes/);
  });

  const addresses = Type.Object({
    peers: Type.Array(Type.String(), { meaning: 'address' }),
  });
  for (const one of ['127.0.0.1', 'a:', ':8051', '::1:8051', 'a: 1', 'a:65536', 'http://a:1']) {
    it(`refuses the address ${JSON.stringify(one)}`, () => {
      const error = refusalOf(() => resolveOptions(addresses, { peers: ['a:1', one] }));

      assert.match(error.message, /^key "peers": must be host:port/);
    });
  }

  it('takes addresses of names, IPv4 and IPv6', () => {
    const peers = ['node-1.local:80', '127.0.0.1:0', '[::1]:65535'];

    assert.deepEqual(resolveOptions(addresses, { peers }).peers, peers);
  });

  it('refuses an unknown flag and names the one that was meant', () => {
    const { message } = refusalOf(() => parseFlags(schema, ['--prot', '1']));

    assert.equal(message, 'unknown flag --prot; did you mean "port"? (--help lists the options)');
  });

  it('refuses a flag without its value, and an argument without a flag', () => {
    assert.match(refusalOf(() => parseFlags(schema, ['--port'])).message, /--port needs a value/);
    assert.match(
      refusalOf(() => parseFlags(schema, ['--port', '--dtype'])).message,
      /--port needs a value/,
    );
    assert.match(refusalOf(() => parseFlags(schema, ['9000'])).message, /argument "9000"/);
    assert.match(refusalOf(() => parseFlags(schema, ['-x'])).message, /unknown flag -x/);
  });

  it('takes flags with underscores, and switches with a value', () => {
    const flags = ['--served_model_name', 'a', '--no_enable_cache'];

    assert.deepEqual(parseFlags(schema, flags), { servedModelName: ['a'], enableCache: false });
    assert.deepEqual(parseFlags(schema, ['--enable-cache=false']), { enableCache: 'false' });
  });

  it('lists every option with its unit and default in the help', () => {
    const help = helpText(schema);

    assert.match(help, /--port INTEGER\s+TCP port \[8000\]/);
    assert.match(help, /--dtype auto\|half/);
    assert.match(help, /--api-key STRING\s+secret \(or AUTOGLM_API_KEY\)/);
  });
});
