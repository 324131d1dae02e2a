import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { resolveConfig } from '#deploy/local/config.ts';
import { parseConfigDocument } from '#deploy/local/config-document.ts';
import { MeshError } from '#mesh/errors.ts';
import type { OptionValues } from '#mesh/options.ts';

function resolveText(text: string, flags: OptionValues = {}) {
  return resolveConfig(parseConfigDocument('etc/mesh.yaml', text), flags);
}

function valuesOf(text: string, role: string, flags: OptionValues = {}): OptionValues {
  const process = resolveText(text, flags).processes.find((one) => one.role.name === role);
  assert(process !== undefined);
  return process.values;
}

function messageOf(text: string, flags: OptionValues = {}): string {
  try {
    resolveText(text, flags);
  } catch (error: unknown) {
    assert(error instanceof MeshError);
    return error.message;
  }
  assert.fail('the configuration was accepted');
}

describe('resolveConfig', () => {
  it('starts the backbone before the gateway', () => {
    const { processes } = resolveText('model: m');

    assert.deepEqual(
      processes.map(({ role }) => role.name),
      ['llm-backbone', 'gateway'],
    );
  });

  it('gives a top-level key to every process that knows it', () => {
    const text = 'model: m\ndrain-timeout-s: 7';

    assert.equal(valuesOf(text, 'gateway')['drainTimeoutS'], 7);
    assert.equal(valuesOf(text, 'llm-backbone')['drainTimeoutS'], 7);
  });

  it('lets a section win over the top level', () => {
    const text = 'model: m\ndrain-timeout-s: 7\ngateway:\n  drain-timeout-s: 3';

    assert.equal(valuesOf(text, 'gateway')['drainTimeoutS'], 3);
    assert.equal(valuesOf(text, 'llm-backbone')['drainTimeoutS'], 7);
  });

  it('lets a flag win over a section', () => {
    const text = 'model: m\ngateway:\n  port: 9000';

    assert.equal(valuesOf(text, 'gateway', { port: '9001' })['port'], 9001);
  });

  it('takes a null key as left out', () => {
    assert.equal(valuesOf('model: m\ngateway:\n  port: null', 'gateway')['port'], 8000);
  });

  it("reads a file's paths relative to the file", () => {
    assert.equal(valuesOf('model: m', 'llm-backbone')['model'], resolve('etc/m'));
  });

  it('leaves paths of flags as they were typed', () => {
    assert.equal(valuesOf('model: m', 'llm-backbone', { model: 'here' })['model'], 'here');
  });

  it("tells the gateway the backbone's address", () => {
    const text = 'model: m\nllm-backbone:\n  listen: 127.0.0.1:7001';

    assert.deepEqual(valuesOf(text, 'gateway')['backbone'], ['127.0.0.1:7001']);
  });

  it('leaves backbone addresses that the gateway section names', () => {
    const text = 'model: m\ngateway:\n  backbone: [far:1, far:2]';

    assert.deepEqual(valuesOf(text, 'gateway')['backbone'], ['far:1', 'far:2']);
  });

  it('gives the log section to the supervisor and every process', () => {
    const text = 'model: m\nlog:\n  level: debug\n  path: out.log';

    assert.equal(resolveText(text).log.logLevel, 'debug');
    assert.equal(valuesOf(text, 'gateway')['logLevel'], 'debug');
    assert.equal(valuesOf(text, 'llm-backbone')['logPath'], resolve('etc/out.log'));
  });

  const refusals = [
    {
      name: 'an unknown key of a section',
      text: 'model: m\ngateway:\n  prot: 1',
      message: 'etc/mesh.yaml:3: unknown key "prot" in section "gateway"; did you mean "port"?',
    },
    {
      name: 'an unknown key at the top level',
      text: 'modle: m',
      message: 'etc/mesh.yaml:1: unknown key "modle"; did you mean "model"?',
    },
    {
      name: 'an unknown key of the log section',
      text: 'model: m\nlog:\n  levle: info',
      message: 'etc/mesh.yaml:3: unknown key "levle" in section "log"; did you mean "level"?',
    },
    {
      name: 'a value out of range',
      text: 'model: m\ngateway:\n  host: localhost\n  port: 70000',
      message: 'etc/mesh.yaml:4: key "port": must be <= 65535, got 70000',
    },
    {
      name: 'a value of the wrong type',
      text: 'model: m\nllm-backbone:\n  max-num-seqs: many',
      message: 'etc/mesh.yaml:3: key "max-num-seqs": must be integer, got "many"',
    },
    {
      name: 'a wrong value of a shared key',
      text: 'model: m\ndtype: int4',
      message:
        'etc/mesh.yaml:2: key "dtype": must be one of auto, half, bfloat16, float32, got "int4"',
    },
    {
      name: 'a wrong log level',
      text: 'model: m\nlog:\n  level: loud',
      message:
        'etc/mesh.yaml:3: key "log-level": must be one of trace, debug, info, warn, error, got "loud"',
    },
    {
      name: 'a section that is a value',
      text: 'model: m\ngateway: 8000',
      message: 'etc/mesh.yaml:2: configuration: "gateway" must hold keys and values',
    },
    {
      name: 'an address of one process at the top level',
      text: 'model: m\nlisten: 127.0.0.1:1',
      message: 'etc/mesh.yaml:2: unknown key "listen"',
    },
  ];
  for (const { name, text, message } of refusals) {
    it(`refuses ${name}, naming file, line and key`, () => {
      assert.equal(messageOf(text).slice(0, message.length), message);
    });
  }

  it('names the flag when its value is at fault', () => {
    const message = '--port: key "port": must be <= 65535, got 99999';

    assert.equal(messageOf('model: m', { port: '99999' }), message);
  });
});

describe('parseConfigDocument', () => {
  it('refuses broken YAML with its line', () => {
    assert.throws(
      () => parseConfigDocument('c.yaml', 'a: 1\nb: [1,\nc: 2'),
      /^MeshError: c\.yaml:\d/,
    );
  });

  it('refuses a key given twice', () => {
    assert.throws(() => parseConfigDocument('c.yaml', 'a: 1\na: 2'), /c\.yaml:2: Map keys must be/);
  });

  it('refuses a file that is a list', () => {
    assert.throws(() => parseConfigDocument('c.yaml', '- a'), /c\.yaml: must hold keys and values/);
  });

  it('takes an empty file', () => {
    assert.deepEqual(parseConfigDocument('c.yaml', '').root, {});
  });

  it('knows no line of a key that is not there', () => {
    assert.equal(parseConfigDocument('c.yaml', 'a: 1').where('b', 'c'), 'c.yaml');
  });
});
