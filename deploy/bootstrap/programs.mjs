// Bundles what is started by itself, a process, a thread or the command line, in the place of its
// compiled module: one file instead of a thousand takes a third of the time to load.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, ROOT } from './paths.mjs';

const PROGRAMS = [
  'deploy/cli/main',
  'gateway/main',
  'gateway/http/body/json-worker',
  'services/llm-backbone/main',
  'services/llm-backbone/grammar/compile-worker',
  'services/llm-backbone/prompt/render-worker',
  'services/speech-encoder/main',
  'services/speech-encoder/decoder-main',
  'services/vision-encoder/main',
  'services/vision-encoder/decoder-main',
];

/**
 * Packages that become part of the programs, with those that only they need. The others stay in
 * node_modules: they read files of their own, are native, must be there once, or load fast.
 */
const BUNDLED = ['fastify', 'nice-grpc', 'typebox', 'undici', 'yaml'];

/** What those packages share with others, or load at run time. */
const SHARED = ['@grpc/grpc-js', '@opentelemetry/api', 'pino'];

/** Parts that programs share. */
const CHUNKS = join(BUILD, 'chunks');
/** The paths of all files that the last bundling wrote. */
const WRITTEN = join(CHUNKS, 'written.json');

/** Tells whether the files of all programs are there. */
export function areProgramsWhole() {
  try {
    const written = JSON.parse(readFileSync(WRITTEN, 'utf8'));
    return written.every((path) => existsSync(join(ROOT, path)));
  } catch {
    return false; // The list is not there, or broken off itself.
  }
}

/** Bundles the programs; to be done after each compilation, which writes their modules anew. */
export async function bundlePrograms() {
  const { build, stop } = await import('esbuild');
  rmSync(CHUNKS, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: PROGRAMS.map((module) => `${module}.ts`),
    outbase: ROOT,
    outdir: BUILD,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    conditions: ['source'],
    sourcemap: true,
    logLevel: 'error',
    metafile: true,
    // What packages in CommonJS ask for at run time.
    banner: {
      js: "import { createRequire as createRequireOf } from 'node:module'; const require = createRequireOf(import.meta.url);",
    },
    plugins: [{ name: 'packages', setup: leavePackages }],
  });
  // Its service is a process that would stay, with its memory, for as long as the mesh runs.
  await stop();
  writeFileSync(WRITTEN, JSON.stringify(Object.keys(metafile.outputs)));
}

/** Leaves imports of packages as they are, but for those that are bundled. */
function leavePackages(build) {
  build.onResolve({ filter: /^[^./#]/ }, ({ path, importer }) => {
    const isNamed = (name) => path === name || path.startsWith(`${name}/`);
    const isPart = BUNDLED.some(isNamed) || importer.includes('/node_modules/');
    return isPart && !SHARED.some(isNamed) ? undefined : { path, external: true };
  });
}
