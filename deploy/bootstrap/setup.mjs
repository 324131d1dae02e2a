import { installDependencies } from './dependencies.mjs';
import { exclusively } from './lock.mjs';
import { buildAddon, buildMachinePeak, buildNativeTests } from './native.mjs';
import { requireBuildTools } from './toolchain.mjs';
import { compileTypeScript } from './typescript.mjs';

/** Installs and builds what is missing or has changed; programs for `tests` or `benches` too. */
export async function setUp({ tests = false, benches = false } = {}) {
  const onWait = () => process.stderr.write('[set-up] waiting for another set-up of this tree\n');
  await exclusively(async () => {
    requireBuildTools();
    await installDependencies();
    await (tests ? buildNativeTests() : buildAddon());
    if (benches) await buildMachinePeak();
    await compileTypeScript();
  }, onWait);
}
