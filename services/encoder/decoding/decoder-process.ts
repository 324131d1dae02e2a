import { type ChildProcess, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { CRASH_SIGNALS } from '#mesh/process/crash-signals.ts';
import { type DecoderReply, type DecoderRequest, parseReply } from './decoder-messages.ts';
import { type Frame, FrameReader, writeFrame } from './frames.ts';
import { processUsage } from './process-usage.ts';
import { REPLY_FD } from './serve-decoder.ts';

/** The program of a decoder process. */
export interface DecoderProgram {
  /** URL of its main file. */
  readonly main: string;
  /** Its limits, as JSON can hold them: its only argument. */
  readonly options: object;
  /** Variables of its environment, besides those of this process that hold no secret. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What it decodes, for messages. */
  readonly what: 'image' | 'recording';
}

export interface DecoderLimits {
  /** Most CPU time of one file. */
  readonly cpuMs: number;
  /** Most memory of the process. */
  readonly memoryBytes: number;
}

/** A file may take so many times its CPU time on a clock, since a busy machine gives it less. */
const CLOCK_FACTOR = 6;
const WATCH_MS = 100;
/** Most bytes of standard error that are kept for a message. */
const MAX_ERROR_CHARS = 2000;
const KIB = 1024;

/** Sets limits that the kernel holds, on memory and core files, and becomes the program. */
const SHELL_SCRIPT = 'ulimit -c 0; ulimit -d "$1" 2>/dev/null; shift; exec "$@"';

/** Variables that may hold secrets: keys of the mesh, and what a collector is sent with each span. */
const SECRET_VARIABLES = /^(?:AUTOGLM|OTEL)_/;

/** Returns an environment in which a file that takes over its decoder finds no secret. */
function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const harmless = Object.entries(env).filter(([name]) => !SECRET_VARIABLES.test(name));
  return Object.fromEntries(harmless);
}

interface PendingAnswer {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A child process that decodes one file at a time and can be killed. It ends with this process: its
 * standard input closes.
 */
export class DecoderProcess {
  readonly #program: DecoderProgram;
  readonly #limits: DecoderLimits;
  /** Undefined if it could not be started. */
  readonly #child: ChildProcess | undefined;
  #pending: PendingAnswer | undefined;
  #errorText = '';
  /** CPU time and clock when the file that it has was begun. */
  #cpuStartMs = 0;
  #startMs = 0;
  #isGone = false;
  /** Why it is gone. */
  #failure: unknown;

  constructor(program: DecoderProgram, limits: DecoderLimits) {
    this.#program = program;
    this.#limits = limits;
    const dataKib = String(Math.ceil(limits.memoryBytes / KIB));
    const node = [process.execPath, ...process.execArgv, fileURLToPath(program.main)];
    const args = ['-c', SHELL_SCRIPT, 'sh', dataKib, ...node, JSON.stringify(program.options)];
    try {
      this.#child = spawn('/bin/sh', args, {
        stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
        env: { ...withoutSecrets(process.env), ...program.environment },
      });
      this.#listen(this.#child);
    } catch (cause: unknown) {
      // Node throws what the system says at once, such as that there is no memory.
      this.#fail(this.#notStarted(cause));
    }
  }

  /** Whether it has ended or was not started. */
  get isGone(): boolean {
    return this.#isGone || this.#child?.pid === undefined;
  }

  get residentBytes(): number {
    return this.#usage()?.residentBytes ?? 0;
  }

  /** Opens the next file. */
  open(bytes: Buffer, signal: AbortSignal): Promise<Frame & { readonly reply: DecoderReply }> {
    this.#cpuStartMs = this.#usage()?.cpuMs ?? 0;
    this.#startMs = performance.now();
    return this.#ask({ kind: 'open' }, signal, bytes);
  }

  /** Decodes the file that is open. */
  load(signal: AbortSignal): Promise<Frame & { readonly reply: DecoderReply }> {
    // The time between both is the encoder's own.
    return this.#ask({ kind: 'load' }, signal);
  }

  kill(): void {
    this.#isGone = true;
    this.#child?.kill('SIGKILL');
  }

  /** Asks and waits; whatever ends the wait before the answer ends the process. */
  async #ask(
    request: DecoderRequest,
    signal: AbortSignal,
    bytes?: Uint8Array,
  ): Promise<Frame & { readonly reply: DecoderReply }> {
    signal.throwIfAborted();
    if (this.#isGone) throw this.#failure ?? this.#unavailable('is gone');
    const abort = () => this.#fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const watch = setInterval(() => this.#watch(), WATCH_MS);
    try {
      const frame = await new Promise<Frame>((resolve, reject) => {
        this.#pending = { resolve, reject };
        const stdin = this.#child?.stdin;
        if (stdin) writeFrame(stdin, request, bytes);
      });
      const reply = parseReply(frame.message);
      if (reply.kind === 'refused') throw new MeshError(reply.reason, reply.message);
      return { ...frame, reply };
    } finally {
      this.#pending = undefined;
      clearInterval(watch);
      signal.removeEventListener('abort', abort);
    }
  }

  #listen(child: ChildProcess): void {
    child.once('error', (cause) => this.#fail(this.#notStarted(cause)));
    const reader = new FrameReader(this.#limits.memoryBytes, (frame) => {
      this.#pending?.resolve(frame);
    });
    // A process for whose pipes there are no descriptors has no streams; its error comes by itself.
    const replies = child.stdio?.[REPLY_FD];
    if (!(replies instanceof Readable)) return;
    replies.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (cause: unknown) {
        this.#fail(unreadableReply(cause));
      }
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#errorText = (this.#errorText + chunk.toString()).slice(-MAX_ERROR_CHARS);
    });
    // A write to a process that has ended fails; its exit is what counts.
    child.stdin?.on('error', () => {});
    // Standard error is complete when the process is closed, which is after its exit.
    child.once('close', (code, signal) => this.#fail(this.#endError(code, signal)));
    for (const part of [child, child.stdin, child.stderr, replies]) unref(part);
  }

  /** Ends the process and the wait for its answer. */
  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#pending?.reject(error);
    this.kill();
  }

  #watch(): void {
    const { cpuMs, memoryBytes } = this.#limits;
    const usage = this.#usage();
    const elapsedMs = performance.now() - this.#startMs;
    const usedMs = usage === null ? elapsedMs : usage.cpuMs - this.#cpuStartMs;
    const { what } = this.#program;
    if (usedMs >= cpuMs) {
      const message = `decoding the ${what} takes more than ${cpuMs / 1000} seconds, the most that is allowed (decode-timeout-s)`;
      this.#fail(new MeshError('UNSUPPORTED_MEDIA', message));
    } else if ((usage?.residentBytes ?? 0) > memoryBytes) {
      const message = `decoding the ${what} takes more than ${Math.round(memoryBytes / 1e6)} MB of memory, the most that are allowed (decode-memory-mb)`;
      this.#fail(new MeshError('PAYLOAD_TOO_LARGE', message));
    } else if (elapsedMs >= CLOCK_FACTOR * cpuMs) {
      this.#fail(this.#unavailable('stood still'));
    }
  }

  #usage() {
    const pid = this.#child?.pid;
    return pid === undefined ? null : processUsage(pid);
  }

  #endError(code: number | null, signal: NodeJS.Signals | null): MeshError {
    const { what } = this.#program;
    if (/out of memory|allocation failed/i.test(this.#errorText)) {
      const message = `decoding the ${what} takes more memory than a decoder may have (decode-memory-mb)`;
      return new MeshError('PAYLOAD_TOO_LARGE', message);
    }
    if (signal !== null && CRASH_SIGNALS.has(signal)) {
      const message = `the ${what} cannot be decoded: it ended its decoder by ${signal}`;
      return new MeshError('UNSUPPORTED_MEDIA', message);
    }
    return this.#unavailable(`ended by ${signal ?? `status ${code}`}`, this.#errorText);
  }

  #notStarted(cause: unknown): MeshError {
    return this.#unavailable(`did not start: ${errorMessage(cause)}`);
  }

  /** The same file may be decoded elsewhere. */
  #unavailable(how: string, detail = ''): MeshError {
    const cause = detail === '' ? {} : { cause: new Error(detail) };
    const message = `the decoder of the ${this.#program.what} ${how}; try again`;
    return new MeshError('NO_READY_ENDPOINT', message, cause);
  }
}

function unreadableReply(cause: unknown): MeshError {
  if (cause instanceof RangeError) {
    const message = 'the encoder has no memory for what was decoded; try again';
    return new MeshError('NO_READY_ENDPOINT', message, { cause });
  }
  return new MeshError('ENGINE_FAILED', 'the decoder process answered what is no answer', {
    cause,
  });
}

/** Lets the event loop end though the process is there. */
function unref(part: unknown): void {
  const method: unknown = Reflect.get(Object(part), 'unref');
  if (typeof method === 'function') method.call(part);
}
