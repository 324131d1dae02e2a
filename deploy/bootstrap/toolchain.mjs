// Checks what the machine must have before anything can be built; each absence is one clear line.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const OLDEST_NODE = [20, 19];
/** The release between the supported ones lacks what the later releases of Node 20 have. */
const UNSUPPORTED_NODE = 21;
const APT_LINE = 'apt-get install -y build-essential cmake';

/** Throws one line if the running Node is too old, or not a supported release. */
export function requireNode(version) {
  const [major, minor] = version.split('.').map(Number);
  const isNewEnough =
    major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  if (isNewEnough && major !== UNSUPPORTED_NODE) return;
  const wanted = `Node ${OLDEST_NODE.join('.')} or newer, but not ${UNSUPPORTED_NODE}`;
  throw new Error(`autoglm-mesh needs ${wanted}; this is ${version}.`);
}

/** Throws one line that names every missing build tool and the command that installs them. */
export function requireBuildTools(env = process.env) {
  const missing = [
    ['a C++ compiler', [env.CXX, 'c++', 'g++', 'clang++']],
    ['make or ninja', ['make', 'ninja']],
    ['CMake', ['cmake']],
  ]
    .filter(([, names]) => !names.some((name) => name !== undefined && findProgram(name, env)))
    .map(([what]) => what);
  if (missing.length === 0) return;
  throw new Error(`autoglm-mesh needs ${missing.join(' and ')}; install with: ${APT_LINE}`);
}

/** Returns the full path of a program on PATH, or undefined. */
export function findProgram(name, env = process.env) {
  const folders = name.includes('/') ? [''] : (env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
