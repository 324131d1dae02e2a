import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { GATEWAY, ROLES } from '#deploy/local/roles.ts';
import type { OptionSchema } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

/** Seconds that the mesh takes to end beyond its drain. */
const ENDING_S = 3;

const UNIT = join(PACKAGE_ROOT, 'deploy/systemd/autoglm-mesh.service');
const hasSystemd = spawnSync('systemd-analyze', ['--version']).error === undefined;

function read(path: string): string {
  return readFileSync(join(PACKAGE_ROOT, path), 'utf8');
}

/** Returns the value of the only line with a key. */
function settingOf(text: string, key: string, mark: '=' | ' '): string {
  const lines = text.split('\n').map((line) => line.trim());
  const values = lines.filter((line) => line.startsWith(`${key}${mark}`));
  assert.equal(values.length, 1, `${key}: ${values}`);
  return values[0]?.slice(key.length + 1).replace(/;$/, '') ?? '';
}

/** Returns the default of an option. */
function defaultOf({ properties }: OptionSchema, name: string): unknown {
  const { [name]: option }: Record<string, { readonly default?: unknown }> = properties;
  return option?.default;
}

describe('the unit for systemd', () => {
  const unit = read('deploy/systemd/autoglm-mesh.service');

  it('is one', { skip: hasSystemd ? false : 'systemd is not installed' }, () => {
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', UNIT], { encoding: 'utf8' });

    // A machine without this one at its place says so.
    const faults = stderr
      .split('\n')
      .filter((line) => line !== '' && !/\/usr\/bin\/node/.test(line));
    assert.deepEqual(faults, [], `status ${status}`);
  });

  it('lets the mesh list the addresses of its machine, as a listener on all of them does', () => {
    const families = settingOf(unit, 'RestrictAddressFamilies', '=').split(' ');

    assert.deepEqual(families.sort(), ['AF_INET', 'AF_INET6', 'AF_NETLINK', 'AF_UNIX']);
  });

  it('lets the mesh have GPUs', () => {
    assert.doesNotMatch(unit, /^PrivateDevices=(?!no)/m);
    assert.equal(settingOf(unit, 'DeviceAllow', '='), 'char-nvidia* rw');
  });

  it('waits until the mesh has drained', () => {
    const timeoutS = Number(settingOf(unit, 'TimeoutStopSec', '='));

    for (const { name, options } of ROLES) {
      const drainS = Number(defaultOf(options, 'drainTimeoutS'));
      assert(timeoutS > drainS + ENDING_S, `${name}: ${drainS} s`);
    }
  });
});

describe('the configuration for nginx', () => {
  const nginx = read('deploy/nginx/nginx.conf');

  it('waits longer than a gateway, which has a better answer, and takes as large bodies', () => {
    const readTimeoutS = Number.parseInt(settingOf(nginx, 'proxy_read_timeout', ' '), 10);
    const requestS = Number(defaultOf(GATEWAY.options, 'requestTimeoutS'));
    const bodyMb = Number.parseInt(settingOf(nginx, 'client_max_body_size', ' '), 10);

    assert(readTimeoutS > requestS + 10, `${readTimeoutS} s`);
    assert(bodyMb >= Number(defaultOf(GATEWAY.options, 'maxBodyMb')), `${bodyMb} MB`);
  });
});
