import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '#mesh/errors.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import type { ProcessPlan } from './kept-process.ts';

const EXAMPLE = join(PACKAGE_ROOT, 'deploy/nginx/nginx.conf');

/** Header of an answer with the addresses of the gateways that nginx asked, the last one last. */
export const UPSTREAM_HEADER = 'x-chaos-upstream';

export function hasNginx(): boolean {
  return spawnSync('nginx', ['-v']).error === undefined;
}

export interface NginxSettings {
  /** Folder for its configuration, log and temporary files. */
  readonly folder: string;
  readonly port: number;
  readonly gatewayPorts: readonly number[];
}

/** Writes a configuration like the example's in front of these gateways; returns how to run it. */
export function planNginx({ folder, port, gatewayPorts }: NginxSettings): ProcessPlan {
  if (!hasNginx()) {
    throw new MeshError('INVALID_REQUEST', 'nginx is not installed: apt-get install nginx-light');
  }
  const config = join(folder, 'nginx.conf');
  const log = join(folder, 'nginx.log');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  const text = withGateways(readFileSync(EXAMPLE, 'utf8'), gatewayPorts)
    .replace(
      /listen 8080;/,
      `listen 127.0.0.1:${port}; add_header ${UPSTREAM_HEADER} $upstream_addr always;`,
    )
    .replace('http {', `http {\n  access_log off; ${paths}`);
  const own = `pid ${folder}/nginx.pid; error_log ${log}; daemon off;\n`;
  writeFileSync(config, own + text);
  return {
    name: 'nginx',
    command: 'nginx',
    args: ['-e', log, '-c', config],
    logPath: log,
    hasChannel: false,
    endSignal: 'SIGTERM',
  };
}

/**
 * Puts these gateways in the places of the example's, each wherever that is named; places that are
 * left over are removed.
 */
export function withGateways(example: string, ports: readonly number[]): string {
  const line = /^ *server 127\.0\.0\.1:(\d+).*;\n/gm;
  const places = [...new Set([...example.matchAll(line)].map(([, place]) => place))];
  if (places.length < ports.length) {
    const what = `${EXAMPLE} has ${places.length} gateways, fewer than ${ports.length}`;
    throw new MeshError('INVALID_REQUEST', what);
  }
  return example.replaceAll(line, (server: string, place: string) => {
    const port = ports[places.indexOf(place)];
    return port === undefined ? '' : server.replace(place, String(port));
  });
}
