// Supervises scripted processes until a signal; arguments: NAME=BEHAVIOUR[:PORT], in starting order.
// One that begins with + is started only when the mesh is scaled so far.
import type { Changes, MeshConfig, ProcessConfig } from '#deploy/local/config/config.ts';
import { superviseUntilSignal } from '#deploy/local/supervise.ts';
import { liveWithSupervisor } from '#mesh/process/lifecycle.ts';
import { scripted } from './scripted-role.ts';

liveWithSupervisor();

const scripts = await Promise.all(
  process.argv.slice(2).map(async (argument) => {
    const [, later, name = '', behaviour, port] =
      /^(\+?)([^=]+)=([^:]+)(?::(.+))?$/.exec(argument) ?? [];
    const values = { behaviour, drainTimeoutS: 0, livenessTimeoutS: 3 };
    const config = await scripted(name, { ...values, ...(port ? { port: Number(port) } : {}) });
    return { config, isFirst: later === '' };
  }),
);

/** Returns the first processes of each role, as many as the numbers say. */
function changed({ counts }: Changes): readonly ProcessConfig[] {
  const roles = [...new Set(scripts.map(({ config }) => config.role.name))];
  return roles.flatMap((role) => {
    const all = scripts.filter(({ config }) => config.role.name === role);
    const count = counts.get(role) ?? all.filter(({ isFirst }) => isFirst).length;
    return all.slice(0, count).map(({ config }) => config);
  });
}

const meshOf = (processes: readonly ProcessConfig[]): MeshConfig => ({
  log: { logLevel: 'info', logFormat: 'json', logIsolation: false },
  processes,
});

process.exitCode = await superviseUntilSignal({
  mesh: meshOf(scripts.flatMap(({ config, isFirst }) => (isFirst ? [config] : []))),
  roles: [...new Map(scripts.map(({ config: { role } }) => [role.name, role])).values()],
  changed: (changes) => meshOf(changed(changes)),
});
