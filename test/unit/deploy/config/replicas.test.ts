import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { keptPorts } from '#deploy/local/config/addresses.ts';
import { type Changes, planMesh, type Surroundings } from '#deploy/local/config/config.ts';
import { parseConfigDocument } from '#deploy/local/config/config-document.ts';
import { readConfigEnvironment } from '#deploy/local/config/config-environment.ts';
import type { OptionValues } from '#mesh/options.ts';
import { refusalOf } from '#test/refusal.ts';

const GIB = 1024 ** 3;

const MACHINE: Surroundings = {
  cores: [0, 1, 2, 3],
  memoryBytes: 16 * GIB,
  gpus: [],
  headsOf: () => undefined,
  hasTower: (model) => model.endsWith('/m'),
};

const plan = (lines: readonly string[], flags: OptionValues = {}, env = {}) =>
  planMesh(parseConfigDocument('etc/mesh.yaml', lines.join('\n')), flags, {
    ...MACHINE,
    env: readConfigEnvironment(env),
  });

const processesOf = (...args: Parameters<typeof plan>) => plan(...args).mesh.processes;

type Processes = ReturnType<typeof processesOf>;

/** Returns `name address` of the processes of a role. */
function addressesOf(processes: Processes, role: string): string[] {
  return processes
    .filter((one) => one.role.name === role)
    .map(({ name, values }) => `${name} ${values['listen'] ?? values['port']}`);
}

/** Returns one value of every process of a role. */
function valuesOf(processes: Processes, role: string, key: string): unknown[] {
  return processes.filter((one) => one.role.name === role).map(({ values }) => values[key]);
}

const TWO_BACKBONES = ['model: text', 'llm-backbone:', '  replicas: 2'];

describe('the replicas of a mesh', () => {
  it('are named by their number, get the next free ports, and share the cores', () => {
    const processes = processesOf([
      'model: m',
      'llm-backbone:',
      '  replicas: 3',
      'gateway:',
      '  replicas: 2',
    ]);

    assert.deepEqual(addressesOf(processes, 'llm-backbone'), [
      'llm-backbone 127.0.0.1:8051',
      'llm-backbone-2 127.0.0.1:8054',
      'llm-backbone-3 127.0.0.1:8055',
    ]);
    assert.deepEqual(addressesOf(processes, 'gateway'), ['gateway 8000', 'gateway-2 8001']);
    assert.deepEqual(valuesOf(processes, 'llm-backbone', 'device'), ['cpu:0', 'cpu:1', 'cpu:2-3']);
  });

  it('are told to every gateway, and the encoders to every backbone', () => {
    const processes = processesOf(['model: m'], { llmBackboneReplicas: '2', gatewayReplicas: '2' });

    const backbones = ['127.0.0.1:8051', '127.0.0.1:8054'];
    assert.deepEqual(valuesOf(processes, 'gateway', 'backbone'), [backbones, backbones]);
    const encoders = [['127.0.0.1:8052'], ['127.0.0.1:8052']];
    assert.deepEqual(valuesOf(processes, 'llm-backbone', 'visionEncoder'), encoders);
  });

  it('are refused one advertised address, however it is said', () => {
    const own = [...TWO_BACKBONES, "  advertise: 'llm.example:8051'"];
    const alone = plan(own.with(2, '  replicas: 1'));
    const lists = (port: number) => [
      'model: text',
      'llm-backbone:',
      "  - {advertise: 'llm.example:8051'}",
      `  - {advertise: 'llm.example:${port}'}`,
    ];
    const counts = new Map([['llm-backbone', 2]]);
    const ports = { kept: new Map<string, number>(), foreign: new Set<number>() };
    const env = { AUTOGLM_LLM_BACKBONE__ADVERTISE: 'llm.example:8051' };

    const refusals = [
      () => plan(own),
      () => plan(lists(8051)),
      () => alone.changed({ counts, ports }),
      () => plan(TWO_BACKBONES, {}, env),
    ].map((make) => refusalOf(make).message);

    const why =
      'key "advertise": llm-backbone and llm-backbone-2 cannot both be reached at llm.example:8051; give each a section of its own in a list, with its own "listen" and "advertise"';
    assert.deepEqual(refusals, [
      `etc/mesh.yaml:4: ${why}`,
      `etc/mesh.yaml:4: ${why}`,
      `etc/mesh.yaml:4: ${why}`,
      `AUTOGLM_LLM_BACKBONE__ADVERTISE: ${why}`,
    ]);
    assert.deepEqual(valuesOf(processesOf(lists(8061)), 'llm-backbone', 'advertise'), [
      'llm.example:8051',
      'llm.example:8061',
    ]);
  });

  it('follow each other, unless their configuration names the others', () => {
    const follows = (processes: Processes) =>
      processes.filter(({ name }) => !name.endsWith('-encoder')).map((one) => one.follows);

    assert.deepEqual(follows(processesOf(['model: m'])), [
      ['vision-encoder', 'speech-encoder'],
      ['llm-backbone', 'vision-encoder', 'speech-encoder'],
    ]);
    const far = [
      'model: m',
      'llm-backbone:',
      '  vision-encoder: [far:1]',
      '  speech-encoder: [far:2]',
      'gateway:',
      '  backbone: [far:3]',
      '  scrape: [far:4]',
    ];
    assert.deepEqual(follows(processesOf(far)), [[], []]);
  });

  it('run on all devices that the section of backbones lists, each of them', () => {
    const lines = ['model: text', 'llm-backbone:', '  device: [cuda:0, cuda:1]'];

    const devices = (...more: readonly string[]) =>
      valuesOf(processesOf([...lines, ...more]), 'llm-backbone', 'device');
    assert.deepEqual(devices(), ['cuda:0,cuda:1']);
    assert.deepEqual(devices('  replicas: 2'), ['cuda:0,cuda:1', 'cuda:0,cuda:1']);
  });

  it('of encoders take turns on the devices that are listed for all processes', () => {
    const devices = (processes: ReturnType<typeof processesOf>, role: string) =>
      valuesOf(processes, role, 'device');
    const onFlag = processesOf(['model: m'], { device: 'cuda:0,cuda:1' });
    const onKey = processesOf(['model: m', 'device: [cpu:0, cpu:1]']);

    assert.deepEqual(devices(onFlag, 'llm-backbone'), ['cuda:0,cuda:1']);
    assert.deepEqual(devices(onFlag, 'vision-encoder'), ['cuda:0']);
    assert.deepEqual(devices(onFlag, 'speech-encoder'), ['cuda:1']);
    assert.deepEqual(devices(onKey, 'llm-backbone'), ['cpu:0,cpu:1']);
    assert.deepEqual(devices(onKey, 'speech-encoder'), ['cpu:1']);
  });

  it('of encoders refuse a list in the variable of their section', () => {
    const env = { AUTOGLM_VISION_ENCODER__DEVICE: 'cpu:0,cpu:1' };

    assert.match(
      refusalOf(() => plan(['model: m'], {}, env)).message,
      /^AUTOGLM_VISION_ENCODER__DEVICE: key "device": a tower runs on one device/,
    );
  });

  it('keep the addresses that a list gives them, and the others go around those', () => {
    const processes = processesOf([
      'model: text',
      'llm-backbone:',
      '  - listen: 127.0.0.1:8001',
      '  - replicas: 2',
      '    listen: 127.0.0.1:7000',
      '  - max-num-seqs: 5',
      'gateway:',
      '  replicas: 2',
    ]);

    assert.deepEqual(addressesOf(processes, 'llm-backbone'), [
      'llm-backbone 127.0.0.1:8001',
      'llm-backbone-2 127.0.0.1:7000',
      'llm-backbone-3 127.0.0.1:7001',
      'llm-backbone-4 127.0.0.1:8051',
    ]);
    assert.deepEqual(addressesOf(processes, 'gateway'), ['gateway 8000', 'gateway-2 8002']);
  });

  it('begin at the port of a flag', () => {
    const processes = processesOf(['model: text'], { port: '9000', gatewayReplicas: '3' });

    assert.deepEqual(addressesOf(processes, 'gateway'), [
      'gateway 9000',
      'gateway-2 9001',
      'gateway-3 9002',
    ]);
  });

  it('are as many as a variable says, or a flag above it', () => {
    const env = { AUTOGLM_LLM_BACKBONE__REPLICAS: '3' };
    const count = (flags: OptionValues) =>
      addressesOf(processesOf(TWO_BACKBONES, flags, env), 'llm-backbone').length;

    assert.equal(count({}), 3);
    assert.equal(count({ llmBackboneReplicas: '1' }), 1);
    assert.deepEqual(readConfigEnvironment(env).warnings, []);
  });

  it('take at most a quarter of the memory for their KV caches', () => {
    const caches = (count: number, ...more: readonly string[]) =>
      valuesOf(
        processesOf(['model: text', ...more], { llmBackboneReplicas: count }),
        'llm-backbone',
        'kvCacheGb',
      );

    assert.deepEqual(caches(1), [undefined]);
    assert.deepEqual(
      caches(2),
      [1.6, 1.6].map((gib) => Math.floor(gib * GIB) / GIB),
    );
    assert.deepEqual(caches(4), [1, 1, 1, 1]);
    assert.deepEqual(caches(4, 'llm-backbone:', '  kv-cache-gb: 3'), [3, 3, 3, 3]);
  });

  it('share a GPU, unless their section says its part', () => {
    const shares = (...more: readonly string[]) =>
      valuesOf(
        processesOf([
          'model: text',
          'llm-backbone:',
          '  - device: [cuda:0, cuda:1]',
          ...more,
          '  - device: cuda:1',
          '  - device: cuda:2',
        ]),
        'llm-backbone',
        'gpuMemoryUtilization',
      );

    assert.deepEqual(shares(), [0.45, 0.45, 0.9]);
    assert.deepEqual(shares('    gpu-memory-utilization: 0.3'), [0.3, 0.45, 0.9]);
  });

  it('share a GPU with encoders, which have an eighth of what a backbone has', () => {
    const lines = ['model: m', 'device: [cuda:0, cuda:1]', 'llm-backbone:', '  replicas: 1'];

    const [share] = valuesOf(processesOf(lines), 'llm-backbone', 'gpuMemoryUtilization');

    assert.equal(Number(share).toFixed(3), '0.800');
  });

  it('are placed on GPUs where nobody says a device', () => {
    const on = (gpus: readonly string[], lines: readonly string[]) =>
      planMesh(parseConfigDocument('etc/mesh.yaml', lines.join('\n')), {}, { ...MACHINE, gpus });
    const { mesh } = on(['cuda:0'], ['model: m', 'speech-encoder:', '  device: cpu:1']);

    assert.deepEqual(valuesOf(mesh.processes, 'llm-backbone', 'device'), ['cuda:0']);
    assert.deepEqual(valuesOf(mesh.processes, 'vision-encoder', 'device'), ['cuda:0']);
    assert.deepEqual(valuesOf(mesh.processes, 'speech-encoder', 'device'), ['cpu:1']);
    assert.equal(mesh.isPlaced, true);
    assert.equal(on(['cuda:0'], ['model: m', 'device: cpu']).mesh.isPlaced, false);
  });

  it('may be none of an encoder', () => {
    const processes = processesOf(['model: m'], { visionEncoderReplicas: 0 });

    assert.deepEqual(addressesOf(processes, 'vision-encoder'), []);
    assert.deepEqual(valuesOf(processes, 'llm-backbone', 'visionEncoder'), [[]]);
  });

  const refusals: readonly (readonly [string, readonly string[], OptionValues, RegExp])[] = [
    [
      'no backbone',
      ['model: m', 'llm-backbone: []'],
      {},
      /^etc\/mesh.yaml:2: .*at least one llm-b/,
    ],
    ['no gateway', ['model: m'], { gatewayReplicas: 0 }, /^--gateway-replicas: .*>= 1, got 0/],
    ['too many', TWO_BACKBONES.with(2, '  replicas: 65'), {}, /mesh.yaml:3: key "replicas": .*64/],
    ['half a process', TWO_BACKBONES.with(2, '  replicas: 1.5'), {}, /integer, got 1.5/],
    ['an empty list of devices', ['llm-backbone:', '  device: []'], {}, /yaml:2: .*empty list/],
    [
      'encoders on a list of devices',
      ['model: m', 'vision-encoder:', '  device: [cpu:0, cpu:1]'],
      {},
      /mesh.yaml:3: key "device": a tower runs on one device, got cpu:0,cpu:1; .*list of sections/,
    ],
    ['a number of all', ['model: m', 'replicas: 2'], {}, /mesh.yaml:2: unknown key "replicas"/],
  ];
  for (const [what, lines, flags, message] of refusals) {
    it(`are refused if they are ${what}`, () => {
      assert.match(refusalOf(() => plan(lines, flags)).message, message);
    });
  }
});

describe('a plan with other numbers of replicas', () => {
  const changed = (changes: Partial<Changes>) =>
    plan(TWO_BACKBONES).changed({
      counts: new Map(),
      ports: { kept: new Map(), foreign: new Set() },
      ...changes,
    }).processes;

  it('adds and leaves out the last ones', () => {
    const count = (number: number) =>
      addressesOf(changed({ counts: new Map([['llm-backbone', number]]) }), 'llm-backbone');

    assert.deepEqual(count(1), ['llm-backbone 127.0.0.1:8051']);
    assert.deepEqual(count(3).at(-1), 'llm-backbone-3 127.0.0.1:8053');
  });

  it('keeps the ports of what runs, and goes around those of others', () => {
    const kept = new Map([
      ['llm-backbone', 8051],
      ['llm-backbone-2', 7777],
    ]);
    const foreign = new Set([8054]);

    const counts = new Map([['llm-backbone', 3]]);
    const addresses = addressesOf(changed({ counts, ports: { kept, foreign } }), 'llm-backbone');

    assert.deepEqual(addresses, [
      'llm-backbone 127.0.0.1:8051',
      'llm-backbone-2 127.0.0.1:7777',
      'llm-backbone-3 127.0.0.1:8052',
    ]);
  });

  it('keeps and counts up the ports of the pages of metrics alike', () => {
    const ports = {
      kept: keptPorts([
        { name: 'gateway', values: { port: 8000, metricsListen: '127.0.0.1:9464' } },
        { name: 'llm-backbone', values: { listen: '127.0.0.1:8051', metricsListen: 'off' } },
      ]),
      foreign: new Set([9466]),
    };

    const { processes } = plan(['model: text-only', 'metrics-listen: 0.0.0.0:9464']).changed({
      counts: new Map([['gateway', 3]]),
      ports,
    });

    assert.deepEqual(
      processes.map(({ name, values }) => `${name} ${values['metricsListen']}`),
      [
        'llm-backbone 0.0.0.0:9465',
        'gateway 0.0.0.0:9464',
        'gateway-2 0.0.0.0:9467',
        'gateway-3 0.0.0.0:9468',
      ],
    );
  });

  it('lets the first of a role go around what has its port meanwhile', () => {
    const kept = new Map([['llm-backbone', 8000]]);

    const processes = changed({ ports: { kept, foreign: new Set() } });

    assert.deepEqual(addressesOf(processes, 'gateway'), ['gateway 8001']);
  });
});
