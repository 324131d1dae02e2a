import { partOf, type SourceFile } from './source-tree.ts';

/** Parts that each part may import besides itself. Tests may import everything. */
const ALLOWED_PARTS: Readonly<Record<string, readonly string[]>> = {
  protos: [],
  native: [],
  'services/mesh': ['protos'],
  'services/encoder': ['services/mesh', 'native', 'protos'],
  'services/llm-backbone': ['services/mesh', 'native', 'protos'],
  'services/vision-encoder': ['services/encoder', 'services/mesh', 'native', 'protos'],
  'services/speech-encoder': ['services/encoder', 'services/mesh', 'native', 'protos'],
  gateway: ['services/mesh', 'protos'],
  deploy: ['services/mesh', 'protos'],
};

/** Files of the processes that the supervisor may import: their options alone. */
const OPTION_FILES = /^(gateway|services\/[a-z-]+)\/options\.ts$/;

/**
 * Parts that run without the addon: no chain of imports, imports of types included, may lead from
 * them to it.
 */
const WITHOUT_NATIVE = /^(gateway|deploy|services\/mesh|protos)\//;

/** Name, in the lists of `ALLOWED_ROOMS`, of the files that lie in a part's own folder. */
const TOP_FILES = '*.ts';

/**
 * Rooms that each room of a part may import besides itself. The files in a part's own folder join
 * its rooms: they may import any room.
 */
const ALLOWED_ROOMS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'services/llm-backbone': {
    checkpoint: ['options.ts'],
    engine: ['engine/kv-cache', 'pooling'],
    'engine/kv-cache': [],
    pooling: [],
    media: ['engine', 'options.ts'],
    template: [],
    grammar: ['checkpoint', 'grammar/json', 'prompt'],
    'grammar/json': ['grammar'],
    prompt: ['checkpoint', 'engine', 'media', 'template'],
    output: ['checkpoint', 'engine'],
    request: ['checkpoint', 'engine', 'grammar', 'media', 'output', 'pooling', 'prompt'],
  },
  'services/encoder': { decoding: ['media-reader.ts'] },
  gateway: {
    'openai/answer': [],
    'openai/fields': [],
    'openai/request': ['openai/answer', 'openai/fields'],
    openai: ['openai/request'],
    anthropic: ['openai', 'openai/answer', 'openai/fields', 'openai/request'],
    responses: ['openai', 'openai/answer', 'openai/fields', 'openai/request'],
    media: ['openai/request'],
    'field-page': ['anthropic', 'openai/fields', 'openai/request', 'responses'],
    routing: [],
    idempotency: [],
    degradation: ['routing'],
    overview: [],
    'console/text': [],
    'console/client': [],
    'console/parts': ['console/text'],
    'console/chat': ['console/client', 'console/parts', 'console/text'],
    'console/mesh': ['console/client', 'console/parts', 'console/text', 'overview'],
    'console/requests': ['console/client', 'console/parts', 'console/text'],
    console: [
      'console/chat',
      'console/client',
      'console/mesh',
      'console/parts',
      'console/requests',
      'console/text',
      'overview',
    ],
    'http/body': [],
    requests: ['routing'],
    http: ['anthropic', 'http/body', 'openai', 'requests'],
    routes: [
      'overview',
      'http',
      'http/body',
      'degradation',
      'idempotency',
      'media',
      'openai',
      'openai/answer',
      'openai/fields',
      'openai/request',
      'requests',
      'routing',
    ],
    'routes/anthropic': ['anthropic', 'http', 'openai/answer', 'routes'],
    'routes/responses': ['http', 'responses', 'routes'],
    'routes/views': ['http', 'overview', 'routes', 'routing'],
  },
  'services/mesh': {
    answer: [],
    async: [],
    balance: ['async'],
    fairness: [TOP_FILES],
    log: ['async', TOP_FILES],
    http2: [],
    grpc: ['async', 'http2', 'log', TOP_FILES],
    encode: ['async', TOP_FILES],
    prompt: [TOP_FILES],
    model: [TOP_FILES],
    devices: [],
    overview: [],
    'command-line': [TOP_FILES],
    peers: ['async', 'balance', 'grpc', 'log', TOP_FILES],
    process: ['async', 'command-line', 'grpc', 'http', 'log', 'peers', TOP_FILES],
    etcd: ['async', 'grpc', 'log', 'peers', TOP_FILES],
    membership: ['async', 'etcd', 'log', 'peers', 'process', TOP_FILES],
    otlp: ['async', 'log', 'process', TOP_FILES],
    trace: ['async', 'log', 'otlp', 'process', TOP_FILES],
  },
};

/**
 * Number of files above which a folder should be divided into rooms, and number above which it must
 * be.
 */
export const FOLDER_SIZE = { aim: 20, limit: 25 };

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** Returns the imports of one part by another that the design does not allow. */
export function wrongParts(tree: readonly SourceFile[]): string[] {
  return tree.flatMap(({ path, imports }) =>
    imports.filter((one) => !mayImport(path, one)).map((one) => `${path} → ${one}`),
  );
}

function mayImport(importer: string, imported: string): boolean {
  const from = partOf(importer);
  const to = partOf(imported);
  if (from === to || from === 'test') return true;
  if (from === 'deploy' && OPTION_FILES.test(imported)) return true;
  if (to === 'native' && imported !== 'native/index.ts') return false;
  return ALLOWED_PARTS[from]?.includes(to) ?? false;
}

/** Returns the chains of imports from a part that runs without the addon to a file of `native/`. */
export function waysToNative(tree: readonly SourceFile[]): string[] {
  const files = new Map(tree.map((file) => [file.path, file]));
  return tree
    .filter(({ path }) => WITHOUT_NATIVE.test(path))
    .flatMap((file) => shortestWay(file, files, (path) => path.startsWith('native/')) ?? [])
    .sort();
}

/**
 * Finds the shortest chain of imports from a file to one for which `isGoal` is true, as `a → b →
 * c`.
 */
function shortestWay(
  start: SourceFile,
  files: ReadonlyMap<string, SourceFile>,
  isGoal: (path: string) => boolean,
): string | undefined {
  const ways = [[start.path]];
  const seen = new Set([start.path]);
  for (const way of ways) {
    const last = way.at(-1) ?? '';
    if (isGoal(last)) return way.join(' → ');
    for (const next of files.get(last)?.imports ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

/** Returns the imports of one room by another of its part that the table does not list. */
export function wrongRooms(tree: readonly SourceFile[]): string[] {
  const arrows = tree.flatMap(({ path, imports }) => {
    const part = partOf(path);
    const rooms = ALLOWED_ROOMS[part];
    const from = roomOf(path, part);
    if (rooms === undefined || isTopFile(from)) return [];
    // A room that the table does not name may import nothing.
    const allowed = rooms[from] ?? [];
    return imports
      .filter((one) => partOf(one) === part)
      .map((one) => roomOf(one, part))
      .filter((to) => to !== from && !allowed.includes(to))
      .filter((to) => !(isTopFile(to) && allowed.includes(TOP_FILES)))
      .map((to) => `${part}: ${from} → ${to}`);
  });
  return [...new Set(arrows)].sort();
}

const isTopFile = (room: string): boolean => room.endsWith('.ts');

/**
 * Returns the folder of a file below its part. A file in the part's own folder is a room by itself.
 */
function roomOf(path: string, part: string): string {
  const folder = folderOf(path);
  return path.slice(part.length + 1, folder === part ? undefined : folder.length);
}

/**
 * Returns the imports that are part of a cycle between the files and folders of one folder, imports
 * of types included. A folder counts with all files below it.
 */
export function roomCycles(tree: readonly SourceFile[]): string[] {
  const folders = new Map<string, Map<string, Set<string>>>();
  for (const { path, imports } of tree) {
    if (['test', 'protos'].includes(partOf(path))) continue;
    for (const one of imports) {
      const { folder, from, to } = whereTheyPart(path, one);
      if (folder === '' || folder === 'services') continue;
      const rooms = folders.get(folder) ?? new Map<string, Set<string>>();
      folders.set(folder, rooms.set(from, (rooms.get(from) ?? new Set()).add(to)));
    }
  }
  return [...folders].flatMap(([folder, rooms]) =>
    arrowsInCycles(rooms).map((arrow) => `${folder}: ${arrow}`),
  );
}

/**
 * Returns the innermost folder that holds both files, and the entry of that folder that each file
 * is or lies in.
 */
function whereTheyPart(a: string, b: string): { folder: string; from: string; to: string } {
  const [left, right] = [a.split('/'), b.split('/')];
  const at = left.findIndex((name, index) => name !== right[index]);
  return {
    folder: left.slice(0, at).join('/'),
    from: left[at] ?? '',
    to: right[at] ?? '',
  };
}

/** Returns the edges of a graph that lie on a cycle. */
function arrowsInCycles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const reaches = (from: string, goal: string): boolean => {
    const seen = new Set([from]);
    for (const one of seen) {
      if (one === goal) return true;
      for (const next of graph.get(one) ?? []) seen.add(next);
    }
    return false;
  };
  return [...graph]
    .flatMap(([from, targets]) =>
      [...targets].filter((to) => reaches(to, from)).map((to) => `${from} → ${to}`),
    )
    .sort();
}

/** Returns the folders of at least `size` files with their number of files. */
export function crowdedFolders(tree: readonly SourceFile[], size: number): string[] {
  const sizes = new Map<string, number>();
  for (const { path } of tree) sizes.set(folderOf(path), (sizes.get(folderOf(path)) ?? 0) + 1);
  return [...sizes]
    .filter(([folder, numFiles]) => !folder.startsWith('protos/') && numFiles > size)
    .map(([folder, numFiles]) => `${folder}: ${numFiles} files`)
    .sort();
}
