import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { probePort } from '#mesh/port-probe.ts';

/** Lowest port to choose; users' own programs listen on ports below it. */
const FIRST_PORT = 10_000;
const NUM_PORTS = 65_536;
/** Fewest ports of a range to draw from. */
const MIN_CHOICE = 1000;
const MAX_DRAWS = 200;

/**
 * Returns a port on which nobody listens, that no outgoing connection gets, and that no other test
 * of this machine gets while this process lives. Test files run at the same time, and a process has
 * to start between choosing a port and listening on it.
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

/** Returns `[first, end)` outside the range of outgoing connections: below it if there is room. */
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
 * Holds a name in Linux's abstract socket namespace until this process ends; resolves to false if
 * another test holds it. Other systems do not reserve ports.
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
