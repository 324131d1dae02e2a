import { installDependencies } from './dependencies.mjs';
import { exclusively } from './lock.mjs';
import { buildAddon, buildNativeTests } from './native.mjs';
import { requireBuildTools } from './toolchain.mjs';
import { compileTypeScript } from './typescript.mjs';

/** Installs and builds what is missing or has changed; `tests`: the native test programs too. */
export async function setUp({ tests = false } = {}) {
  const onWait = () => process.stderr.write('[set-up] waiting for another set-up of this tree\n');
  await exclusively(async () => {
    requireBuildTools();
    await installDependencies();
    await (tests ? buildNativeTests() : buildAddon());
    await compileTypeScript();
  }, onWait);
}
