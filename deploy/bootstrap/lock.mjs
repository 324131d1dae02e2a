// Allows one set-up at a time in one working tree. The lock is a listening socket in Linux's
// abstract namespace. The kernel frees it however its holder dies, so no stale lock is left, and
// the closing of its connection wakes a process that waits. Other systems have no lock.
import { createHash } from 'node:crypto';
import { createConnection, createServer } from 'node:net';
import { ROOT } from './paths.mjs';

/** Runs `work` while no other process runs work of the same `topic` in the same tree. */
export async function exclusively(work, onWait = () => {}, topic = 'set-up') {
  if (process.platform !== 'linux') return work();
  const hash = createHash('sha256').update(`${ROOT}\0${topic}`).digest('hex');
  const name = `\0autoglm-mesh-${hash.slice(0, 32)}`;
  let lock = await tryListen(name);
  if (lock === undefined) onWait();
  while (lock === undefined) {
    await closed(name);
    lock = await tryListen(name);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** Resolves to the lock, or to undefined if another process holds it. */
function tryListen(name) {
  return new Promise((resolve, reject) => {
    const waiters = new Set();
    const server = createServer((socket) => {
      waiters.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => waiters.delete(socket));
    });
    const release = () => {
      server.close();
      for (const socket of waiters) socket.destroy();
    };
    server.once('error', (error) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => resolve({ release }));
  });
}

/** Resolves when the holder of the lock releases it or dies. */
function closed(name) {
  return new Promise((resolve) => {
    const socket = createConnection(name);
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
}
