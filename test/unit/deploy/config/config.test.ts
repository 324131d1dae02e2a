import assert from 'node:assert/strict';
import { basename, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { planMesh, type Surroundings } from '#deploy/local/config/config.ts';
import { parseConfigDocument } from '#deploy/local/config/config-document.ts';
import { readConfigEnvironment } from '#deploy/local/config/config-environment.ts';
import type { Environment } from '#mesh/command-line/environment.ts';
import type { OptionValues } from '#mesh/options.ts';
import { refusalOf } from '#test/refusal.ts';

/** A machine of four cores, on which only the directory "text-only" has no towers. */
const SURROUNDINGS: Surroundings = {
  cores: [0, 1, 4, 5],
  memoryBytes: 16 * 1024 ** 3,
  gpus: [],
  headsOf: () => undefined,
  hasTower: (model) => basename(model) !== 'text-only',
};

function resolveText(text: string, flags: OptionValues = {}) {
  return planMesh(parseConfigDocument('etc/mesh.yaml', text), flags, SURROUNDINGS).mesh;
}

/** Returns `role listen device` of every encoder. */
function encodersOf(text: string, flags: OptionValues = {}): string[] {
  return resolveText(text, flags)
    .processes.filter(({ role }) => role.name.endsWith('-encoder'))
    .map(({ role, values }) => `${role.name} ${values['listen']} ${values['device']}`);
}

function valuesOf(text: string, role: string, flags: OptionValues = {}): OptionValues {
  const process = resolveText(text, flags).processes.find((one) => one.role.name === role);
  assert(process !== undefined);
  return process.values;
}

function messageOf(text: string, flags: OptionValues = {}): string {
  return refusalOf(() => resolveText(text, flags)).message;
}

describe('resolveConfig', () => {
  it('starts the backbone before the gateway, and what it asks before the backbone', () => {
    const { processes } = resolveText('model: m');

    assert.deepEqual(
      processes.map(({ role }) => role.name),
      ['vision-encoder', 'speech-encoder', 'llm-backbone', 'gateway'],
    );
  });

  it('gives each encoder cores of its own', () => {
    assert.deepEqual(encodersOf('model: m'), [
      'vision-encoder 127.0.0.1:8052 cpu:0-1',
      'speech-encoder 127.0.0.1:8053 cpu:4-5',
    ]);
  });

  it('tells the backbone where the encoders are', () => {
    const values = valuesOf('model: m', 'llm-backbone');

    assert.deepEqual(values['visionEncoder'], ['127.0.0.1:8052']);
    assert.deepEqual(values['speechEncoder'], ['127.0.0.1:8053']);
  });

  it('starts no encoder for a model without towers', () => {
    assert.deepEqual(encodersOf('model: text-only\nvision-encoder:\n  lazy: true'), []);
    assert.deepEqual(valuesOf('model: text-only', 'llm-backbone')['visionEncoder'], []);
  });

  it('starts a process for each entry of a list', () => {
    const text = [
      'model: m',
      'vision-encoder:',
      '  - listen: 127.0.0.1:1',
      '    device: cuda:0',
      '  - listen: 127.0.0.1:2',
      '    lazy: true',
    ].join('\n');

    assert.deepEqual(encodersOf(text), [
      'vision-encoder 127.0.0.1:1 cuda:0',
      'vision-encoder 127.0.0.1:2 cpu:1',
      'speech-encoder 127.0.0.1:8053 cpu:4-5',
    ]);
    const addresses = valuesOf(text, 'llm-backbone')['visionEncoder'];
    assert.deepEqual(addresses, ['127.0.0.1:1', '127.0.0.1:2']);
  });

  it('starts no encoder of an empty list, and leaves all cores to the other', () => {
    const text = 'model: m\nvision-encoder: []';

    assert.deepEqual(encodersOf(text), ['speech-encoder 127.0.0.1:8053 cpu:0-1,4-5']);
    assert.deepEqual(valuesOf(text, 'llm-backbone')['visionEncoder'], []);
  });

  it('starts no encoder where the backbone is told of one elsewhere', () => {
    const section = 'model: m\nllm-backbone:\n  vision-encoder: [far:1, far:2]';

    assert.deepEqual(encodersOf(section), ['speech-encoder 127.0.0.1:8053 cpu:0-1,4-5']);
    assert.deepEqual(valuesOf(section, 'llm-backbone')['visionEncoder'], ['far:1', 'far:2']);
    assert.deepEqual(encodersOf('model: m', { visionEncoder: ['far:1'] }), encodersOf(section));
  });

  it('bounds the threads of every process by a flag', () => {
    const flags = { threads: '2' };

    for (const role of ['vision-encoder', 'llm-backbone']) {
      assert.equal(valuesOf('model: m', role, flags)['threads'], 2);
    }
  });

  it('puts everything on the device of a flag', () => {
    const flags = { device: 'cuda:0' };

    assert.equal(valuesOf('model: m', 'vision-encoder', flags)['device'], 'cuda:0');
    assert.equal(valuesOf('model: m', 'llm-backbone', flags)['device'], 'cuda:0');
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

  it("tells the gateway the encoders' addresses, for their metrics", () => {
    const addresses = ['127.0.0.1:8052', '127.0.0.1:8053'];

    assert.deepEqual(valuesOf('model: m', 'gateway')['scrape'], addresses);
  });

  it('leaves backbone addresses that the gateway section names', () => {
    const text = 'model: m\ngateway:\n  backbone: [far:1, far:2]';

    assert.deepEqual(valuesOf(text, 'gateway')['backbone'], ['far:1', 'far:2']);
  });

  it('leaves it to a registry to say where the processes are', () => {
    const text = 'model: m\nregistry: etcd://registry.example:2379';

    assert.deepEqual(valuesOf(text, 'gateway')['backbone'], []);
    assert.deepEqual(valuesOf(text, 'gateway')['scrape'], []);
    assert.deepEqual(valuesOf(text, 'llm-backbone')['visionEncoder'], []);
    assert.equal(encodersOf(text).length, 2);
    for (const role of ['gateway', 'llm-backbone', 'vision-encoder', 'speech-encoder']) {
      assert.equal(valuesOf(text, role)['registry'], 'etcd://registry.example:2379');
    }
  });

  it('refuses a registry that is none, with its place', () => {
    const text = 'model: m\nregistry: zookeeper://a:1';

    assert.match(messageOf(text), /^etc\/mesh\.yaml:2: key "registry": got the scheme "zookeeper"/);
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
      name: 'an unknown key in an entry of a list',
      text: 'model: m\nvision-encoder:\n  - lazy: true\n  - lasy: true',
      message:
        'etc/mesh.yaml:4: unknown key "lasy" in section "vision-encoder"; did you mean "lazy"?',
    },
    {
      name: 'an unknown key of a section without a process',
      text: 'model: text-only\nvision-encoder:\n  lasy: true',
      message:
        'etc/mesh.yaml:3: unknown key "lasy" in section "vision-encoder"; did you mean "lazy"?',
    },
    {
      name: 'an entry of a list that is a value',
      text: 'model: m\nspeech-encoder:\n  - lazy: true\n  - cpu',
      message: 'etc/mesh.yaml:4: configuration: "speech-encoder" must hold keys and values',
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

/** Returns the values of a process whose environment says something, too. */
function valuesWith(env: Environment, role: string, flags: OptionValues = {}): OptionValues {
  const text = 'model: m\nmax-num-seqs: 2\nllm-backbone:\n  max-num-seqs: 3\n  listen: a:1';
  const surroundings = { ...SURROUNDINGS, env: readConfigEnvironment(env) };
  const { mesh } = planMesh(parseConfigDocument('etc/mesh.yaml', text), flags, surroundings);
  return mesh.processes.find((one) => one.role.name === role)?.values ?? {};
}

describe('the environment of a mesh', () => {
  const shared = { AUTOGLM_MAX_NUM_SEQS: '4', AUTOGLM_PORT: '5', AUTOGLM_LOG__LEVEL: 'debug' };
  const own = { ...shared, AUTOGLM_LLM_BACKBONE__MAX_NUM_SEQS: '6' };

  it('wins over the file, and a section of its own over both', () => {
    assert.equal(valuesWith({}, 'llm-backbone')['maxNumSeqs'], 3);
    assert.equal(valuesWith(shared, 'llm-backbone')['maxNumSeqs'], 4);
    assert.equal(valuesWith(own, 'llm-backbone')['maxNumSeqs'], 6);
    assert.equal(valuesWith(own, 'gateway')['port'], 5);
    assert.equal(valuesWith(own, 'gateway')['logLevel'], 'debug');
  });

  it('loses to a flag', () => {
    assert.equal(valuesWith(own, 'llm-backbone', { maxNumSeqs: '7' })['maxNumSeqs'], 7);
  });

  it('gives the address of one process, which is no key of all', () => {
    const env = { AUTOGLM_LLM_BACKBONE__LISTEN: 'b:2', AUTOGLM_LISTEN: 'c:3' };

    assert.equal(valuesWith(env, 'llm-backbone')['listen'], 'b:2');
    assert.deepEqual(valuesWith(env, 'gateway')['backbone'], ['b:2']);
    assert.match(readConfigEnvironment(env).warnings.join(), /AUTOGLM_LISTEN has no effect/);
  });

  for (const name of ['AUTOGLM_MAX_NUM_SEQS', 'AUTOGLM_LLM_BACKBONE__MAX_NUM_SEQS']) {
    it(`is named when the value of ${name} is at fault`, () => {
      const error = refusalOf(() => valuesWith({ [name]: '3.5' }, 'llm-backbone'));

      const message = `${name}: key "max-num-seqs": must be integer, got "3.5"`;
      assert.equal(error.message, message);
    });
  }

  it('names the file of the configuration', () => {
    assert.equal(readConfigEnvironment({ AUTOGLM_CONFIG: 'a.yaml' }).file, 'a.yaml');
    assert.deepEqual(readConfigEnvironment({ AUTOGLM_CONFIG: 'a.yaml' }).warnings, []);
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
