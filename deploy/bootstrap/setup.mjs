import { installDependencies } from './dependencies.mjs';
import { exclusively } from './lock.mjs';
import { buildAddon, buildMachinePeak, buildNativeTests, isAddonBuilt } from './native.mjs';
import { requireBuildTools } from './toolchain.mjs';
import { compileTypeScript } from './typescript.mjs';

/** What a running mesh needs. */
export function setUp() {
  return prepare([buildAddon, compileTypeScript]);
}

/** What the fast tests need: they run TypeScript from its sources. */
export function setUpTests() {
  return prepare([buildNativeTests]);
}

/** What the benches need, some of which start a mesh. */
export function setUpBenches() {
  return prepare([buildAddon, buildMachinePeak, compileTypeScript]);
}

/** Installs what is missing, then runs builds that do nothing when nothing has changed. */
async function prepare(builds) {
  const onWait = () => process.stderr.write('[set-up] waiting for another set-up of this tree\n');
  await exclusively(async () => {
    // Said before minutes of installing; a machine that only runs what was built needs no compiler.
    if (!isAddonBuilt()) requireBuildTools();
    await installDependencies();
    for (const build of builds) await build();
  }, onWait);
}
