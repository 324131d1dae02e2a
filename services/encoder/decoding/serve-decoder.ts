import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { OpenedFile, OpenFile } from '../media-reader.ts';
import type { DecoderReply } from './decoder-messages.ts';
import { FrameReader, writeFrame } from './frames.ts';

/** The descriptor on which a decoder process answers: libraries may write on the standard ones. */
export const REPLY_FD = 3;

/**
 * Ends the process when its encoder is gone, on a thread of its own: a decoder that never yields
 * would not notice that its standard input has ended.
 */
const WATCH_PARENT = `
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
  }, 500);
`;

/**
 * Runs a decoder process: opens and decodes one file after the other, as asked on standard input,
 * until that ends.
 */
export function serveDecoder(openFile: OpenFile): void {
  new Worker(WATCH_PARENT, { eval: true, execArgv: [] }).unref();
  // It tells logs to open their files again, and this process has none; without a handler it ends it.
  process.on('SIGUSR2', () => {});
  const out = new Socket({ fd: REPLY_FD, readable: false, writable: true });
  let opened: OpenedFile | undefined;
  const answer = async (kind: unknown, bytes: Buffer): Promise<void> => {
    try {
      if (kind === 'open') {
        opened = await openFile(bytes);
        const { facts, durationMs } = opened;
        send({ kind: 'opened', facts, durationMs });
      } else if (opened !== undefined) {
        const { load } = opened;
        opened = undefined;
        send({ kind: 'loaded' }, await load());
      }
    } catch (error: unknown) {
      send(refusalOf(error));
    }
  };
  const send = (reply: DecoderReply, bytes?: Uint8Array) => writeFrame(out, reply, bytes);
  const reader = new FrameReader(Number.MAX_SAFE_INTEGER, ({ message, bytes }) => {
    void answer(Reflect.get(Object(message), 'kind'), bytes);
  });
  process.stdin.on('data', (chunk: Buffer) => reader.push(chunk));
  // The encoder is gone, whatever ended it; a decoder in the middle of native work does not wait.
  const end = () => process.kill(process.pid, 'SIGKILL');
  process.stdin.once('end', end).once('error', end);
  out.once('error', end);
}

/** What libraries say when memory cannot be had: the process has a limit of its own. */
const OUT_OF_MEMORY =
  /out of memory|insufficient memory|(cannot|unable to|could not) allocate|allocation failed|invalid (typed )?array length/i;

function refusalOf(error: unknown): DecoderReply {
  const message = errorMessage(error);
  if (OUT_OF_MEMORY.test(message)) {
    const why = 'decoding it takes more memory than a decoder may have (decode-memory-mb)';
    return { kind: 'refused', reason: 'PAYLOAD_TOO_LARGE', message: why };
  }
  const reason = error instanceof MeshError ? error.reason : 'UNSUPPORTED_MEDIA';
  return { kind: 'refused', reason, message };
}
