import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Returns the whole cores of processor time that the control groups of this process leave it,
 * rounded up; undefined without a limit. `native/device/cgroup.cc` reads the same for threads.
 * `root` is "/", or a folder that holds proc and sys.
 */
export function processorShare(root = '/'): number | undefined {
  const shares = groupsOf(root).flatMap((group) => shareOf(group));
  return shares.length === 0 ? undefined : Math.min(...shares);
}

/** Folders of the control groups that bound processor time, of both versions, and those above. */
function groupsOf(root: string): readonly string[] {
  const mounts = join(root, 'sys/fs/cgroup');
  return textOf(join(root, 'proc/self/cgroup'))
    .split('\n')
    .flatMap((line) => {
      const [, controllers, ...path] = line.split(':');
      if (controllers === '') return ancestors(mounts, path.join(':'));
      const bounds = controllers?.split(',').includes('cpu') === true;
      return bounds ? ancestors(join(mounts, 'cpu'), path.join(':')) : [];
    });
}

function ancestors(mount: string, path: string): readonly string[] {
  const names = path.split('/').filter((name) => name !== '');
  return Array.from({ length: names.length + 1 }, (_, i) => join(mount, ...names.slice(0, i)));
}

/** Returns the share of one group in a list, none if it has no limit. */
function shareOf(group: string): readonly number[] {
  const files = [['cpu.max'], ['cpu.cfs_quota_us', 'cpu.cfs_period_us']];
  return files.flatMap((names) => {
    const text = names.map((name) => textOf(join(group, name))).join(' ');
    const [quota = Number.NaN, period = Number.NaN] = text.trim().split(/\s+/).map(Number);
    return quota > 0 && period > 0 ? [Math.ceil(quota / period)] : [];
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
