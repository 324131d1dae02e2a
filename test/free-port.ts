import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { probePort } from '#mesh/port-probe.ts';

/** Below it lie the ports people's own programs listen on. */
const FIRST_PORT = 10_000;
const NUM_PORTS = 65_536;
/** A range with fewer ports than this is no place to draw from. */
const MIN_CHOICE = 1000;
const MAX_DRAWS = 200;

/**
 * A port nobody listens on, that no outgoing connection is given, and that no other test of this
 * machine gets while this process lives: test files run at the same time, and between choosing a port
 * and listening on it a process has to start.
 */
export async function freePort(): Promise<number> {
  const [first, end] = drawnRange();
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const port = first + Math.floor(Math.random() * (end - first));
    if (!(await reserve(port))) continue;
    const isFree = await probePort({ host: '127.0.0.1', port }).then(
      () => true,
      () => false,
    );
    if (isFree) return port;
  }
  throw new Error(`no free port in ${MAX_DRAWS} draws from ${first} to ${end - 1}`);
}

/** `[first, end)` beside the range of outgoing connections: below it where there is room. */
function drawnRange(): readonly [number, number] {
  const [low, high] = outgoingRange();
  if (low - FIRST_PORT >= MIN_CHOICE) return [FIRST_PORT, low];
  if (NUM_PORTS - (high + 1) >= MIN_CHOICE) return [high + 1, NUM_PORTS];
  return [FIRST_PORT, NUM_PORTS];
}

function outgoingRange(): readonly [number, number] {
  if (process.platform !== 'linux') return [49_152, 65_535];
  const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  const [low = 0, high = 0] = text.trim().split(/\s+/).map(Number);
  return [low, high];
}

const reservations: Server[] = [];

/**
 * Holds a name in Linux's abstract socket namespace until this process ends; false when another test
 * holds it. Elsewhere ports are not reserved.
 */
function reserve(port: number): Promise<boolean> {
  if (process.platform !== 'linux') return Promise.resolve(true);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(`\0autoglm-mesh-test-port-${port}`, () => {
      server.unref();
      reservations.push(server);
      resolve(true);
    });
  });
}
