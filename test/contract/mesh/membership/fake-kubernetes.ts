import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { KubernetesAccess } from '#mesh/membership/kubernetes-api.ts';
import { writeCertificate } from '#test/certificate.ts';

/** What the server says to one request; an answer to a watch stays open until `end`. */
export interface Answer {
  readonly status?: number;
  readonly body?: object;
}

/** The API server of a Kubernetes cluster, whose answers a test writes. */
export class FakeKubernetes {
  readonly access: KubernetesAccess;
  /** Paths of the requests, with their queries decoded, in order. */
  readonly requests: string[] = [];
  /** Tokens of the requests, in order. */
  readonly tokens: (string | undefined)[] = [];
  /** Answer to each list; the last one stays. */
  list: Answer = { body: listOf('1', []) };
  /** Status of each watch that is refused, used up in order. */
  readonly refusals: number[] = [];
  readonly #server: Server;
  #watch: ServerResponse | undefined;

  private constructor(server: Server, access: KubernetesAccess) {
    this.#server = server;
    this.access = access;
    server.on('request', (request, response) => this.#answer(request, response));
  }

  static async start(test: TestContext): Promise<FakeKubernetes> {
    const folder = await mkdtemp(join(tmpdir(), 'autoglm-kubernetes-'));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'ca.crt')];
    writeCertificate({ key, cert });
    await writeFile(join(folder, 'token'), 'first\n');
    const server = createServer({ key: await readFile(key), cert: await readFile(cert) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const fake = new FakeKubernetes(server, { host: '127.0.0.1', port, accountFolder: folder });
    test.after(async () => {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true });
    });
    return fake;
  }

  /** Renews the token, as Kubernetes does. */
  async renewToken(token: string): Promise<void> {
    await writeFile(join(this.access.accountFolder, 'token'), token);
  }

  /** Sends an event of the open watch. */
  send(type: string, object: object): void {
    this.#watch?.write(`${JSON.stringify({ type, object })}\n`);
  }

  /** Ends the open watch, as the server does at its limit. */
  endWatch(): void {
    this.#watch?.end();
  }

  /** Breaks all connections. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(request.url ?? '');
    this.requests.push(path);
    this.tokens.push(request.headers.authorization);
    if (!path.includes('watch=1')) {
      const { status = 200, body = {} } = this.list;
      response.writeHead(status).end(JSON.stringify(body));
      return;
    }
    const refusal = this.refusals.shift();
    if (refusal === undefined) {
      response.writeHead(200).flushHeaders();
      this.#watch = response;
    } else response.writeHead(refusal).end('{}');
  }
}

/** Makes a list of slices at a version. */
export function listOf(resourceVersion: string, items: readonly object[]): object {
  return { kind: 'EndpointSliceList', metadata: { resourceVersion }, items };
}

/** Makes a slice with endpoints at these IPv4 addresses. */
export function sliceOf(name: string, addresses: readonly string[], version = '1'): object {
  return {
    metadata: { name, resourceVersion: version },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: 'grpc', port: 8051 }],
  };
}
