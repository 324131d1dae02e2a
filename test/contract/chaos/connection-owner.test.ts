import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { within } from '#test/bounded.ts';
import { ownerOf } from '#test/chaos/mesh/connection-owner.ts';

/** Connects to the port that it is told, and stays. */
const CLIENT = 'require("net").connect(Number(process.argv[1]), "127.0.0.1")';

const skip = process.platform === 'linux' ? false : 'only Linux tells whose a socket is';

describe('ownerOf', { skip }, () => {
  let server: Server;
  before(async () => {
    server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    server.close();
  });

  function port(): number {
    const address = server.address();
    assert(address !== null && typeof address === 'object');
    return address.port;
  }

  async function accepted(): Promise<Socket> {
    const waiting: Promise<Socket[]> = once(server, 'connection');
    const [socket] = await within(waiting, { what: 'a connection' });
    assert(socket !== undefined);
    return socket;
  }

  const ends = ({ remotePort = 0 }: Socket) => ({ localPort: remotePort, remotePort: port() });

  it('finds the process that opened a connection, among others', async () => {
    const child = spawn(process.execPath, ['-e', CLIENT, String(port())]);
    const socket = await accepted();
    const { pid = 0 } = child;

    const owners = [[process.pid, pid], [process.pid]].map((pids) => ownerOf(ends(socket), pids));

    assert.deepEqual(owners, [pid, undefined]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(ownerOf(ends(socket), [process.pid, pid]), undefined);
    socket.destroy();
  });

  it('finds nobody for a connection that is not there', async () => {
    const client = connect(port(), '127.0.0.1');
    const socket = await accepted();
    const own = ends(socket);
    assert.equal(ownerOf(own, [process.pid]), process.pid);

    client.destroy();
    socket.destroy();

    assert.equal(ownerOf({ ...own, remotePort: 1 }, [process.pid]), undefined);
  });
});
