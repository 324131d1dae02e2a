// Decides what a tree lacks for a verb; looks at nothing itself.

/** How many packages a message names. */
const NUM_NAMED = 3;

/**
 * `builds` are what the verb needs built: each has a `name`, `isDone()`, and may take a C++ compiler
 * (`needsCompiler`) or development packages (`needsDev`), as a verb that `runsSources` does itself.
 * `missingPackages(withDev)` lists what is not installed.
 */
export function planSetUp({ builds, runsSources }, missingPackages) {
  const missing = builds.filter((one) => !one.isDone());
  // A tree in which all is built may have been pruned of what built it.
  const withDev = runsSources || missing.some(({ needsDev }) => needsDev);
  return { builds: missing, withDev, packages: missingPackages(withDev) };
}

/** `missing or changed: the native addon, npm packages (node_modules/yaml and 3 more)`. */
export function describeLack({ builds, packages }) {
  const parts = builds.map(({ name }) => name);
  if (packages.length > 0) parts.push(`npm packages (${listShortly(packages)})`);
  return `missing or changed: ${parts.join(', ')}`;
}

/** The first few and how many more there are. */
export function listShortly(packages) {
  const named = packages.slice(0, NUM_NAMED).join(', ');
  const rest = packages.length > NUM_NAMED ? ` and ${packages.length - NUM_NAMED} more` : '';
  return `${named}${rest}`;
}

/**
 * Paths of the packages that a lockfile wants and an installation lacks: `wanted` and `found` are the
 * "packages" of both lockfiles; `machine` has `os`, `cpu` and `libc()`.
 */
export function lackingPackages({ wanted, found, withDev, machine }) {
  return Object.entries(wanted)
    .filter(([path, one]) => path !== '' && (withDev || !one.dev) && isFor(machine, one))
    .filter(([path, { version, integrity }]) => {
      const one = found[path];
      return one === undefined || one.version !== version || one.integrity !== integrity;
    })
    .map(([path]) => path);
}

/** False for an optional package of other machines, or one that only such packages need. */
function isFor(machine, { optional, os, cpu, libc }) {
  if (!optional) return true;
  if (os === undefined && cpu === undefined) return false;
  return (
    allows(os, () => machine.os) &&
    allows(cpu, () => machine.cpu) &&
    allows(libc, () => machine.libc())
  );
}

/** npm's rule: a list names what it allows, or with `!` what it does not. */
function allows(list, askMachine) {
  if (list === undefined) return true;
  const value = askMachine();
  const named = list.filter((one) => !one.startsWith('!'));
  return !list.includes(`!${value}`) && (named.length === 0 || named.includes(value));
}
