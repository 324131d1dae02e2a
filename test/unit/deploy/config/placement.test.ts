import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  gpusInWords,
  type ModelProcesses,
  type PlacementFacts,
  placeProcesses,
} from '#deploy/local/config/placement.ts';
import type { DecoderHeads } from '#deploy/local/model-towers.ts';
import type { OptionValues } from '#mesh/options.ts';

const GLM_4_9B: DecoderHeads = { numHeads: 32, numKvHeads: 2 };

const FACTS: PlacementFacts = { gpus: [], cores: [0, 1, 2, 3], headsOf: () => GLM_4_9B };

interface Case {
  readonly what: string;
  readonly numGpus: number;
  readonly backbones?: readonly OptionValues[];
  readonly encoders?: readonly OptionValues[];
  readonly heads?: DecoderHeads | undefined;
  /** Devices of the backbones, then of the encoders. */
  readonly devices: readonly [readonly string[], readonly string[]];
}

const AUTO = { device: 'auto' };

const CASES: readonly Case[] = [
  {
    what: 'without a GPU, the CPU: encoders share its cores',
    numGpus: 0,
    devices: [['cpu'], ['cpu:0-1', 'cpu:2-3']],
  },
  {
    what: 'without a GPU, shares of the cores for several backbones',
    numGpus: 0,
    backbones: [AUTO, AUTO],
    devices: [
      ['cpu:0-1', 'cpu:2-3'],
      ['cpu:0-1', 'cpu:2-3'],
    ],
  },
  {
    what: 'one GPU for all',
    numGpus: 1,
    devices: [['cuda:0'], ['cuda:0', 'cuda:0']],
  },
  {
    what: 'a GPU for each encoder, and both for the backbone',
    numGpus: 2,
    devices: [['cuda:0,cuda:1'], ['cuda:0', 'cuda:1']],
  },
  {
    what: 'only as many GPUs as divide the heads, and another one for an encoder',
    numGpus: 3,
    devices: [['cuda:0,cuda:1'], ['cuda:2', 'cuda:0']],
  },
  {
    what: 'more GPUs than key-value heads, which are repeated',
    numGpus: 8,
    devices: [['cuda:0,cuda:1,cuda:2,cuda:3,cuda:4,cuda:5,cuda:6,cuda:7'], ['cuda:0', 'cuda:1']],
  },
  {
    what: 'one GPU for a model whose heads nobody knows',
    numGpus: 2,
    heads: undefined,
    devices: [['cuda:0'], ['cuda:1', 'cuda:0']],
  },
  {
    what: 'an even share of the GPUs for each replica',
    numGpus: 4,
    backbones: [AUTO, AUTO],
    devices: [
      ['cuda:0,cuda:1', 'cuda:2,cuda:3'],
      ['cuda:0', 'cuda:1'],
    ],
  },
  {
    what: 'the same GPU for some replicas, where there are more than GPUs',
    numGpus: 2,
    backbones: [AUTO, AUTO, AUTO],
    devices: [
      ['cuda:0', 'cuda:1', 'cuda:0'],
      ['cuda:1', 'cuda:0'],
    ],
  },
  {
    what: 'as many GPUs as tensor-parallel-size says',
    numGpus: 4,
    backbones: [{ ...AUTO, tensorParallelSize: 2 }],
    devices: [['cuda:0,cuda:1'], ['cuda:2', 'cuda:3']],
  },
  {
    what: 'what is said, and the rest beside it',
    numGpus: 2,
    backbones: [{ device: 'cuda:0' }],
    encoders: [AUTO, { device: 'cpu:3' }],
    devices: [['cuda:0'], ['cuda:1', 'cpu:3']],
  },
];

const devicesOf = ({ backbones, encoders }: ModelProcesses) =>
  [backbones, encoders].map((list) => list.map(({ values }) => values['device']));

describe('placeProcesses', () => {
  for (const { what, numGpus, devices, ...given } of CASES) {
    it(`gives ${what}`, () => {
      const { backbones = [AUTO], encoders = [AUTO, AUTO] } = given;
      const heads = 'heads' in given ? given.heads : GLM_4_9B;
      const gpus = Array.from({ length: numGpus }, (_, i) => `cuda:${i}`);

      const placed = placeProcesses(
        {
          backbones: backbones.map((values) => ({ values })),
          encoders: encoders.map((values) => ({ values })),
        },
        { ...FACTS, gpus, headsOf: () => heads },
      );

      assert.deepEqual(devicesOf(placed), devices);
    });
  }

  it('leaves out GPUs that cannot be used', () => {
    const placed = placeProcesses(
      { backbones: [{ values: AUTO }], encoders: [{ values: AUTO }] },
      { ...FACTS, gpus: ['cuda:1', 'cuda:3'] },
    );

    assert.deepEqual(devicesOf(placed), [['cuda:1,cuda:3'], ['cuda:1']]);
  });
});

describe('gpusInWords', () => {
  const rows: readonly (readonly [readonly string[], readonly string[]])[] = [
    [['cpu', 'cpu:0-1'], []],
    [['cuda:0', 'cuda:0'], ['Initializing pipeline on device: cuda:0']],
    [['cuda:1', 'cuda:0,cuda:1', 'cpu:0'], ['Initializing multi-GPU pipeline on devices: [0, 1]']],
  ];
  for (const [devices, words] of rows) {
    it(`says ${words.join() || 'nothing'} of ${devices.join(' and ')}`, () => {
      assert.deepEqual(gpusInWords(devices), words);
    });
  }
});
