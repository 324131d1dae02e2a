// How the console is built: one page with a script and a style of its own, below /console/.
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

export default {
  root: import.meta.dirname,
  // Relative, so that the page also works below a path of a proxy.
  base: './',
  publicDir: false,
  // Sources of the mesh are read as they are, not as they are compiled for Node.
  resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
  build: {
    outDir: join(ROOT, 'build', 'console'),
    emptyOutDir: true,
    assetsDir: 'console',
    // The policy of the page allows no data URL for what is fetched.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    // The first that know light-dark(), which would be written out for others.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    reportCompressedSize: false,
  },
};
