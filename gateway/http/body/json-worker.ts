import { parentPort } from 'node:worker_threads';
import { MeshError } from '#mesh/errors.ts';
import { joined } from './body-bytes.ts';
import { parseJson } from './parse-json.ts';

/** The value of a body, or why it is refused. */
export type ParseResult = { readonly value: unknown } | { readonly refusal: string };

parentPort?.on('message', (slabs: readonly ArrayBuffer[]) => {
  parentPort?.postMessage(resultOf(slabs));
});

function resultOf(slabs: readonly ArrayBuffer[]): ParseResult {
  try {
    return { value: parseJson(joined(slabs)) };
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    return { refusal: error.message };
  }
}
