import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The two ports of a TCP connection on loopback, as its client sees them. */
export interface LoopbackConnection {
  readonly localPort: number;
  readonly remotePort: number;
}

/**
 * Returns which of some processes opened a connection on loopback, from what Linux says of their
 * sockets; undefined if none did, or it is closed already.
 */
export function ownerOf(
  connection: LoopbackConnection,
  pids: readonly number[],
): number | undefined {
  const inode = inodeOf(connection);
  if (inode === undefined) return undefined;
  return pids.find((pid) => socketsOf(pid).includes(`socket:[${inode}]`));
}

/** Returns the number of the client's socket. */
function inodeOf({ localPort, remotePort }: LoopbackConnection): string | undefined {
  const [local, remote] = [localPort, remotePort].map((port) => {
    return `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  });
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return fields.find(([, own, other]) => own === local && other === remote)?.[9];
}

/** Returns what the open files of a process are called; nothing if it has ended. */
function socketsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => linkOf(`/proc/${pid}/fd/${name}`));
  } catch {
    return [];
  }
}

/** Returns what a link names; "" if it was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
