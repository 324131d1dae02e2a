import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crowdedFolders, roomCycles, waysToNative, wrongParts, wrongRooms } from './rules.ts';
import { readSourceTree, type SourceFile } from './source-tree.ts';

const TREE = readSourceTree();

/** Returns the tree with one more import, by an existing file or by an added one. */
function withImport(importer: string, imported: string): SourceFile[] {
  const others = TREE.filter(({ path }) => path !== importer);
  const file = TREE.find(({ path }) => path === importer) ?? fileOf(importer);
  return [...others, { ...file, imports: [...file.imports, imported] }];
}

function fileOf(path: string): SourceFile {
  return { path, imports: [], runtimeImports: [], numLines: 1 };
}

/**
 * Returns the violations of a rule in the tree with one more import that the tree itself does not
 * have.
 */
function found(
  rule: (tree: readonly SourceFile[]) => string[],
  importer: string,
  imported: string,
): string[] {
  const before = new Set(rule(TREE));
  return rule(withImport(importer, imported)).filter((one) => !before.has(one));
}

describe('the rule on parts', () => {
  const forbidden: readonly (readonly [string, string])[] = [
    ['gateway/mutant.ts', 'native/index.ts'],
    ['gateway/mutant.ts', 'services/encoder/encoder-cache.ts'],
    ['services/mesh/errors.ts', 'native/index.ts'],
    ['services/mesh/errors.ts', 'services/encoder/encoder-cache.ts'],
    ['services/llm-backbone/mutant.ts', 'services/encoder/encoder-cache.ts'],
    ['services/llm-backbone/mutant.ts', 'services/vision-encoder/role.ts'],
    ['services/llm-backbone/mutant.ts', 'native/addon.ts'],
    ['services/vision-encoder/mutant.ts', 'services/speech-encoder/role.ts'],
    ['services/encoder/mutant.ts', 'services/vision-encoder/role.ts'],
    ['services/encoder/mutant.ts', 'deploy/local/roles.ts'],
    ['native/mutant.ts', 'services/mesh/errors.ts'],
    ['protos/gen/autoglm/common/v1/mutant.ts', 'services/mesh/errors.ts'],
    ['deploy/local/mutant.ts', 'services/llm-backbone/backbone.ts'],
    ['deploy/local/mutant.ts', 'test/lines.ts'],
  ];
  for (const [importer, imported] of forbidden) {
    it(`finds that ${importer} imports ${imported}`, () => {
      assert.deepEqual(found(wrongParts, importer, imported), [`${importer} → ${imported}`]);
    });
  }

  it('lets an encoder stand on what encoders share', () => {
    const importer = 'services/vision-encoder/mutant.ts';

    assert.deepEqual(found(wrongParts, importer, 'services/encoder/encoder-cache.ts'), []);
  });
});

describe('the rule on ways to the addon', () => {
  it('finds one that leads through what all processes share', () => {
    const ways = found(waysToNative, 'services/mesh/errors.ts', 'native/index.ts');

    assert(ways.includes('services/mesh/errors.ts → native/index.ts'));
    assert(
      ways.some((way) =>
        /^gateway\/main\.ts → .*services\/mesh\/.* → native\/index\.ts$/.test(way),
      ),
    );
    assert(ways.some((way) => way.startsWith('deploy/cli/main.ts → ')));
  });

  it("finds one from the deployment through a process's options", () => {
    const ways = found(waysToNative, 'services/llm-backbone/options.ts', 'native/index.ts');

    assert(ways.some((way) => way.startsWith('deploy/local/roles.ts → services/llm-backbone/')));
  });
});

describe('the rule on rooms', () => {
  const forbidden: readonly (readonly [string, string, string])[] = [
    [
      'services/llm-backbone/engine/mutant.ts',
      'services/llm-backbone/media/media-item.ts',
      'services/llm-backbone: engine → media',
    ],
    [
      'services/llm-backbone/engine/mutant.ts',
      'services/llm-backbone/request/generation.ts',
      'services/llm-backbone: engine → request',
    ],
    [
      'services/llm-backbone/output/mutant.ts',
      'services/llm-backbone/prompt/prompt.ts',
      'services/llm-backbone: output → prompt',
    ],
    ['gateway/openai/mutant.ts', 'gateway/http/sse.ts', 'gateway: openai → http'],
    ['gateway/routing/mutant.ts', 'gateway/http/route.ts', 'gateway: routing → http'],
    ['gateway/media/mutant.ts', 'gateway/routing/router.ts', 'gateway: media → routing'],
    ['services/mesh/async/mutant.ts', 'services/mesh/log/log.ts', 'services/mesh: async → log'],
    ['services/mesh/grpc/mutant.ts', 'services/mesh/encode/x.ts', 'services/mesh: grpc → encode'],
  ];
  for (const [importer, imported, arrow] of forbidden) {
    it(`finds ${arrow}`, () => {
      assert.deepEqual(found(wrongRooms, importer, imported), [arrow]);
    });
  }

  it('finds a room that the table does not name', () => {
    const arrows = found(wrongRooms, 'gateway/attic/mutant.ts', 'gateway/openai/mutant.ts');

    assert.deepEqual(arrows, ['gateway: attic → openai']);
  });
});

describe('the rule on cycles', () => {
  it('finds two rooms that need each other', () => {
    const arrows = found(
      roomCycles,
      'services/llm-backbone/engine/sequence.ts',
      'services/llm-backbone/media/request-media.ts',
    );

    assert(arrows.includes('services/llm-backbone: media → engine'));
    assert(arrows.includes('services/llm-backbone: engine → media'));
  });

  it('finds a room and a file that need each other, through others', () => {
    const arrows = found(
      roomCycles,
      'services/mesh/errors.ts',
      'services/mesh/grpc/error-status.ts',
    );

    assert(arrows.includes('services/mesh: errors.ts → grpc'));
    assert(arrows.includes('services/mesh: grpc → errors.ts'));
    assert(arrows.includes('services/mesh: grpc → log'));
  });

  it('finds two files of one room that need each other', () => {
    const other = { ...fileOf('gateway/media/other.ts'), imports: ['gateway/media/mutant.ts'] };
    const tree = [...withImport('gateway/media/mutant.ts', other.path), other];

    assert(roomCycles(tree).includes('gateway/media: mutant.ts → other.ts'));
    assert(roomCycles(tree).includes('gateway/media: other.ts → mutant.ts'));
  });
});

describe('the rule on folder sizes', () => {
  it('finds a folder with one file too many', () => {
    const tree = Array.from({ length: 26 }, (_, index) => fileOf(`gateway/attic/box${index}.ts`));

    assert.deepEqual(crowdedFolders(tree, 25), ['gateway/attic: 26 files']);
    assert.deepEqual(crowdedFolders(tree.slice(1), 25), []);
  });
});
