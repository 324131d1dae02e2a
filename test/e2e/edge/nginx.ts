import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { within } from '#test/bounded.ts';
import { freePort } from '#test/free-port.ts';

const CONFIG = join(PACKAGE_ROOT, 'deploy/nginx/nginx.conf');
/** Addresses of the gateways in the example. */
const EXAMPLE_ADDRESSES = ['127.0.0.1:8000', '127.0.0.1:8010', '127.0.0.1:8020'] as const;
/** Milliseconds between two looks whether nginx answers. */
const LOOK_INTERVAL_MS = 20;
const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

const hasNginx = spawnSync('nginx', ['-v']).error === undefined;

/** Why a test that needs nginx is skipped; false if it is not. */
export const SKIP_WITHOUT_NGINX = hasNginx
  ? false
  : 'nginx is not installed (apt-get install nginx-light)';

/** A running nginx. */
export interface Nginx {
  readonly url: string;
  /** Returns what it has written to its error log. */
  errors(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts nginx with the example's configuration in front of three gateways, each `host:port`. */
export async function startNginx(gateways: readonly string[]): Promise<Nginx> {
  assert.equal(gateways.length, EXAMPLE_ADDRESSES.length);
  const folder = await mkdtemp(join(tmpdir(), 'autoglm-nginx-'));
  const listen = `127.0.0.1:${await freePort()}`;
  await writeFile(join(folder, 'nginx.conf'), await configuration(gateways, { folder, listen }));
  const errorLog = join(folder, 'error.log');
  const child = spawn('nginx', ['-e', errorLog, '-c', join(folder, 'nginx.conf')], {
    stdio: 'inherit',
  });
  const exit = once(child, 'exit');
  const url = `http://${listen}`;
  const untilAnswers = async () => {
    for (;;) {
      const answer = await fetch(`${url}/livez`).catch(() => undefined);
      if (answer?.ok) return;
      assert.equal(child.exitCode, null, 'nginx ended');
      await delay(LOOK_INTERVAL_MS);
    }
  };
  await within(untilAnswers(), { what: 'an answer through nginx', trace: () => [] });
  return {
    url,
    errors: () => readFile(errorLog, 'utf8'),
    stop: async () => {
      child.kill('SIGTERM');
      await exit;
      await rm(folder, { recursive: true });
    },
  };
}

async function configuration(
  gateways: readonly string[],
  { folder, listen }: { readonly folder: string; readonly listen: string },
): Promise<string> {
  const paths = TEMP_PATHS.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  let text = (await readFile(CONFIG, 'utf8'))
    .replace('listen 8080', `listen ${listen}`)
    .replace('http {', `http {\n  access_log off; ${paths}`);
  for (const [index, address] of EXAMPLE_ADDRESSES.entries()) {
    assert(text.includes(address), `the example has no gateway at ${address}`);
    text = text.replaceAll(address, gateways[index] ?? '');
  }
  return `pid ${folder}/pid; error_log ${folder}/error.log warn; daemon off;\n${text}`;
}
