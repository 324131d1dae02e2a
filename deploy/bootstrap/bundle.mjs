// Bundles modules that are started by themselves, a process, a thread, a command or a test, into
// build/, each at its place: one file and the parts that it shares with others, instead of a
// thousand modules, take a third of the time to load. Types are not its matter, but that of
// `npm run check`.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, ROOT } from './paths.mjs';

/**
 * Packages that become part of the bundles, with those that only they need. The others stay in
 * node_modules: they read files of their own, are native, must be there once, or load fast.
 */
const BUNDLED = ['fastify', 'nice-grpc', 'nice-grpc-common', 'typebox', 'undici', 'yaml'];

/** What those packages share with others, or load at run time. */
const SHARED = ['@grpc/grpc-js', '@opentelemetry/api', 'pino'];

/** Tells whether all files are there that the last bundling into this folder of parts wrote. */
export function isBundleWhole(chunks) {
  try {
    const written = JSON.parse(readFileSync(listOf(chunks), 'utf8'));
    return written.every((path) => existsSync(join(ROOT, path)));
  } catch {
    return false; // The list is not there, or broken off itself.
  }
}

/**
 * Bundles TypeScript modules, named by their paths from the root; what they share lies in the folder
 * `chunks` of build/.
 */
export async function bundle({ modules, chunks }) {
  const { build, stop } = await import('esbuild');
  rmSync(join(BUILD, chunks), { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: modules,
    outbase: ROOT,
    outdir: BUILD,
    chunkNames: `${chunks}/[name]-[hash]`,
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
  writeFileSync(listOf(chunks), JSON.stringify(Object.keys(metafile.outputs)));
}

function listOf(chunks) {
  return join(BUILD, chunks, 'written.json');
}

/** Leaves imports of packages as they are, but for those that are bundled. */
function leavePackages(build) {
  build.onResolve({ filter: /^[^./#]/ }, ({ path, importer }) => {
    const isNamed = (name) => path === name || path.startsWith(`${name}/`);
    const isPart = BUNDLED.some(isNamed) || importer.includes('/node_modules/');
    return isPart && !SHARED.some(isNamed) ? undefined : { path, external: true };
  });
}
