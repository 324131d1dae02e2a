import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Type from 'typebox';
import { helpText, parseFlags, parseSection, resolveOptions, toFlags } from '#mesh/options.ts';
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
    apiKey: Type.Optional(Type.String({ description: 'secret', env: 'TEST_API_KEY' })),
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
    const values = resolveOptions(schema, {}, { TEST_API_KEY: 'k' });

    assert.equal(values.apiKey, 'k');
    assert.ok(!toFlags(schema, values).join(' ').includes('k '));
    assert.ok(!toFlags(schema, values).some((flag) => flag.startsWith('--api-key')));
  });

  it('prefers an explicit value to the environment', () => {
    assert.equal(resolveOptions(schema, { apiKey: 'a' }, { TEST_API_KEY: 'b' }).apiKey, 'a');
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

  it('refuses an unknown flag', () => {
    assert.match(refusalOf(() => parseFlags(schema, ['--prot', '1'])).message, /prot.*--help/);
  });

  it('lists every option with its unit and default in the help', () => {
    const help = helpText(schema);

    assert.match(help, /--port INTEGER\s+TCP port \[8000\]/);
    assert.match(help, /--dtype auto\|half/);
    assert.match(help, /--api-key STRING\s+secret \(or TEST_API_KEY\)/);
  });
});
