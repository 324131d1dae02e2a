import { setTimeout as delay } from 'node:timers/promises';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { isRecord } from '#mesh/json-value.ts';
import { type MediaModality, WIRE_MODALITIES } from '#mesh/modality.ts';
import type { OptionValues } from '#mesh/options.ts';
import {
  type EncoderReadiness,
  InstanceServiceDefinition,
} from '#protos/autoglm/mesh/v1/instance.ts';

const POLL_MS = 100;
const ANSWER_LIMIT_MS = 2000;

/** Returns the base URL under which this machine reaches the gateway. */
export function gatewayUrl(values: OptionValues): string {
  const host = String(values['host']);
  const reachable = host === '0.0.0.0' || host === '' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const literal = reachable.includes(':') ? `[${reachable}]` : reachable;
  return `http://${literal}:${String(values['port'])}`;
}

export interface WantedGateway {
  /** Number of backbones that it must be able to ask; one is always needed. */
  readonly numBackbones: number;
  readonly signal: AbortSignal;
}

/** Resolves when the gateway reports that the mesh can generate. */
export async function waitUntilReady(url: string, wanted: WantedGateway): Promise<void> {
  const { signal } = wanted;
  while (!(await isReady(url, wanted))) await delay(POLL_MS, undefined, { signal });
}

async function isReady(url: string, { numBackbones, signal }: WantedGateway): Promise<boolean> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
  try {
    const answer = await fetch(`${url}/health`, { signal: limit });
    const health: unknown = await answer.json();
    const numReady = isRecord(health) ? Number(health['backbones_ready'] ?? 0) : 0;
    return answer.ok && numReady >= numBackbones;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

export interface WantedEncoders {
  /** Modality of each encoder, once for each. */
  readonly modalities: readonly MediaModality[];
  readonly signal: AbortSignal;
}

/** Why a backbone does not ask encoders of a modality. */
export type Refusals = ReadonlyMap<MediaModality, string>;

/**
 * Resolves when the backbone at `address` can ask the encoders, or has refused them for good; goes
 * on across its restarts.
 */
export async function encodersSettled(address: string, wanted: WantedEncoders): Promise<Refusals> {
  const { signal } = wanted;
  const channel = openChannel(address, 'tokens');
  const instance = createMeshClient(InstanceServiceDefinition, channel);
  try {
    for (;;) {
      try {
        for await (const { encoders } of instance.watch({}, { signal })) {
          if (areSettled(encoders, wanted)) return refusalsOf(encoders, wanted);
        }
      } catch {
        signal.throwIfAborted();
      }
      await delay(POLL_MS, undefined, { signal });
    }
  } finally {
    channel.close();
  }
}

function areSettled(encoders: readonly EncoderReadiness[], wanted: WantedEncoders): boolean {
  return wanted.modalities.every((modality) => {
    const { numReady = 0, numRefused = 0 } = countsOf(encoders, modality) ?? {};
    return numReady + numRefused >= wanted.modalities.filter((one) => one === modality).length;
  });
}

function refusalsOf(encoders: readonly EncoderReadiness[], wanted: WantedEncoders): Refusals {
  return new Map(
    wanted.modalities.flatMap((modality) => {
      const { numRefused = 0, refusal = '' } = countsOf(encoders, modality) ?? {};
      return numRefused > 0 ? [[modality, refusal] as const] : [];
    }),
  );
}

function countsOf(encoders: readonly EncoderReadiness[], modality: MediaModality) {
  return encoders.find((one) => one.modality === WIRE_MODALITIES[modality]);
}

const GREETING = { messages: [{ role: 'user', content: '你是谁?' }] };

/** Tells whether the model has a chat template, by asking for the tokens of a conversation. */
export async function takesMessages(
  url: string,
  { apiKey, signal }: { readonly apiKey: string | undefined; readonly signal: AbortSignal },
): Promise<boolean> {
  const key = apiKey?.split(',')[0]?.trim();
  const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const answer = await fetch(`${url}/tokenize`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization },
    body: JSON.stringify(GREETING),
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]),
  }).catch(() => undefined);
  await answer?.arrayBuffer().catch(() => undefined);
  return answer?.status !== 400;
}

/** What a line that a user copies has to say. */
export interface CurlLine {
  readonly needsKey: boolean;
  /** The model takes conversations, not texts alone. */
  readonly takesMessages: boolean;
}

/** Returns a line that a user can copy to see the mesh answer. */
export function curlLine(url: string, { needsKey, takesMessages }: CurlLine): string {
  const key = needsKey ? ' -H "Authorization: Bearer $AUTOGLM_API_KEY"' : '';
  const [route, body] = takesMessages
    ? ['chat/completions', GREETING]
    : ['completions', { prompt: 'Hello', max_tokens: 16 }];
  const json = JSON.stringify(body);
  return `curl ${url}/v1/${route} -H 'Content-Type: application/json'${key} -d '${json}'`;
}
