// Decides what a tree lacks for a verb, from facts that its callers collect.

/** Most packages that a message names. */
const NUM_NAMED = 3;

/**
 * Plans the set-up for a verb. `builds` are the parts that it needs built: each has a `name` and
 * `isDone()`, and may need a C++ compiler (`needsCompiler`) or development packages (`needsDev`); a
 * verb may need the latter itself. `missingPackages(withDev)` lists the packages that are not
 * installed.
 */
export function planSetUp({ builds, needsDev }, missingPackages) {
  const missing = builds.filter((one) => !one.isDone());
  // If all is built, the development packages may have been removed from the tree.
  const withDev = needsDev || missing.some((one) => one.needsDev);
  return { builds: missing, withDev, packages: missingPackages(withDev) };
}

/**
 * Writes the lack: `missing or changed: the native addon, npm packages (node_modules/yaml and 3
 * more)`.
 */
export function describeLack({ builds, packages }) {
  const parts = builds.map(({ name }) => name);
  if (packages.length > 0) parts.push(`npm packages (${listShortly(packages)})`);
  return `missing or changed: ${parts.join(', ')}`;
}

/** Names the first few packages and the number of the others. */
export function listShortly(packages) {
  const named = packages.slice(0, NUM_NAMED).join(', ');
  const rest = packages.length > NUM_NAMED ? ` and ${packages.length - NUM_NAMED} more` : '';
  return `${named}${rest}`;
}

/**
 * Returns the paths of the packages that a lockfile demands and an installation lacks. `wanted` and
 * `found` are the "packages" of both lockfiles; `machine` has `os`, `cpu` and `libc()`.
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

/**
 * Tells whether a package is for this machine; false for an optional package of other machines, or
 * one that only such packages need.
 */
function isFor(machine, { optional, os, cpu, libc }) {
  if (!optional) return true;
  if (os === undefined && cpu === undefined) return false;
  return (
    allows(os, () => machine.os) &&
    allows(cpu, () => machine.cpu) &&
    allows(libc, () => machine.libc())
  );
}

/**
 * Tells whether a list allows a machine, by npm's rule: it names allowed values, or with `!`
 * refused ones.
 */
function allows(list, askMachine) {
  if (list === undefined) return true;
  const value = askMachine();
  const named = list.filter((one) => !one.startsWith('!'));
  return !list.includes(`!${value}`) && (named.length === 0 || named.includes(value));
}
