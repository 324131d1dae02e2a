import assert from 'node:assert/strict';
import { pino } from 'pino';
import { type Gateway, type GatewayOptions, startGateway } from '#gateway/gateway.ts';
import { gatewayOptions } from '#gateway/options.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { Log } from '#mesh/log/log.ts';
import { resolveOptions } from '#mesh/options.ts';
import { within } from '#test/bounded.ts';
import { FakeBackbone } from './fake-backbone.ts';

/** A gateway on a free port in front of fake backbones. */
export interface Harness {
  readonly gateway: Gateway;
  readonly backbones: readonly FakeBackbone[];
  /** The first backbone. */
  readonly backbone: FakeBackbone;
  readonly url: string;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
  get(path: string, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
}

export interface HarnessOptions extends Partial<GatewayOptions> {
  readonly backbones?: readonly FakeBackbone[];
  /** Unset: nothing is logged. */
  readonly log?: Log;
}

export async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const { backbones = [new FakeBackbone()], log = pino({ enabled: false }), ...values } = options;
  for (const backbone of backbones) await backbone.start();
  const addresses = backbones.map(({ address }) => address);
  const complete = resolveOptions(
    gatewayOptions,
    {
      host: '127.0.0.1',
      port: 0,
      backbone: addresses,
      recoveryWaitS: 0,
      console: false,
      ...values,
    },
    {},
  );
  const gateway = await startGateway(complete, log);
  const { url } = gateway;
  const [backbone] = backbones;
  if (backbone === undefined) throw new Error('a harness has at least one backbone');
  await untilReady(url, backbones.length);
  const trace = () => backbones.flatMap((one, i) => one.trace.map((event) => `${i}: ${event}`));
  const answer = (path: string, init?: RequestInit) =>
    within(fetch(url + path, init), { what: `an answer from ${path}`, trace });
  return {
    gateway,
    backbones,
    backbone,
    url,
    get: answer,
    post: (path, body, init) =>
      answer(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...init,
      }),
    close: async () => {
      try {
        await within(gateway.drain(0), { what: 'the end of the gateway', trace });
      } finally {
        for (const one of backbones) await one.kill();
      }
    },
  };
}

/** Waits until the gateway has seen `numReady` backbones ready. */
export async function untilReady(url: string, numReady: number): Promise<void> {
  let seen: unknown;
  let isLate = false;
  const look = async () => {
    while (!isLate) {
      const health: unknown = await (await fetch(`${url}/health`)).json();
      seen = isRecord(health) ? health['backbones_ready'] : health;
      if (seen === numReady) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  try {
    const trace = () => [`${JSON.stringify(seen)} are`];
    await within(look(), { what: `${numReady} ready backbones`, trace });
  } finally {
    isLate = true;
  }
}

/**
 * Returns the data of a stream's events as parsed JSON, `[DONE]` unchanged; comments are left out.
 */
export function eventsOf(text: string): unknown[] {
  return text
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => frame.slice('data: '.length))
    .map((data): unknown => (data === '[DONE]' ? data : JSON.parse(data)));
}

export const CHAT = { messages: [{ role: 'user', content: 'hi' }] } as const;

export async function jsonOf(response: Response): Promise<Readonly<Record<string, unknown>>> {
  const value: unknown = await response.json();
  assert(isRecord(value));
  return value;
}

export interface ErrorAnswer {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
}

/** Returns the error object of an answer; checks that it has exactly OpenAI's four fields. */
export async function errorOf(response: Response): Promise<ErrorAnswer> {
  const { error } = await jsonOf(response);
  assert(isRecord(error));
  const { message, type, param, code, doc, ...others } = error;
  assert(typeof message === 'string' && typeof type === 'string' && typeof code === 'string');
  assert(typeof param === 'string' || param === null);
  assert.equal(doc, `services/mesh/ERRORS.md#${code}`);
  assert.deepEqual(others, {});
  return { message, type, param, code };
}
