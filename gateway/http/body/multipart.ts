import { MeshError } from '#mesh/errors.ts';

/** Most bytes of the header of a part. */
const MAX_HEAD_BYTES = 16 * 1024;
/** Most characters of a boundary (RFC 2046, section 5.1.1). */
const MAX_BOUNDARY_CHARS = 70;

const CR = 0x0d;
const LINE_BREAK = Buffer.from('\r\n');
const BLANK_LINE = Buffer.from('\r\n\r\n');
const CLOSING = Buffer.from('--');
const NOTHING = Buffer.alloc(0);

/** Receives the content of one part. An error that a method throws ends the reading. */
export interface PartContent {
  /** Takes further bytes. */
  write(bytes: Buffer): void;
  end(): void;
}

export interface PartReceiver {
  readonly maxParts: number;
  /** Called when a part begins, with the lines of its header, each with its line break. */
  begin(head: string): PartContent;
}

/**
 * Splits a multipart body (RFC 2046) while it arrives. Keeps at most one header, or the bytes that
 * may be the start of a boundary.
 */
export class Multipart {
  readonly #receiver: PartReceiver;
  /** Ends a part; its line break belongs to the delimiter, not to the part. */
  readonly #delimiter: Buffer;
  #state: 'content' | 'boundary' | 'head' | 'epilogue' = 'content';
  #numParts = 0;
  /** The part whose content is read; undefined before the first boundary. */
  #part: PartContent | undefined;
  /** Bytes that have arrived and are not read; at first a line break that is not in the body. */
  #rest: Buffer = LINE_BREAK;
  /**
   * Bytes at the start of `#rest` that are not content: they belong to a delimiter or to the
   * header.
   */
  #numForeign = 0;

  constructor(boundary: string, receiver: PartReceiver) {
    if (boundary === '' || boundary.length > MAX_BOUNDARY_CHARS) {
      const allowed = `its boundary must have 1 to ${MAX_BOUNDARY_CHARS} characters`;
      throw malformed(`${allowed}, got ${boundary.length}`);
    }
    this.#receiver = receiver;
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  }

  push(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#advance());
  }

  /** Checks that the form is complete; called when the body has ended. */
  finish(): void {
    if (this.#state !== 'epilogue') throw malformed('it ends before its closing boundary');
  }

  /** Reads to the end of a state; false if that has not arrived. */
  #advance(): boolean {
    switch (this.#state) {
      case 'content':
        return this.#readContent();
      case 'boundary':
        return this.#readBoundary();
      case 'head':
        return this.#readHead();
      case 'epilogue':
        this.#rest = NOTHING;
        return false;
    }
  }

  #readContent(): boolean {
    const found = this.#rest.indexOf(this.#delimiter);
    const end = found === -1 ? this.#startOfDelimiter() : found;
    if (end > this.#numForeign) this.#part?.write(this.#rest.subarray(this.#numForeign, end));
    if (end > 0) this.#numForeign = 0;
    if (found === -1) {
      this.#rest = this.#rest.subarray(end);
      return false;
    }
    this.#part?.end();
    this.#rest = this.#rest.subarray(found + this.#delimiter.length);
    this.#state = 'boundary';
    return true;
  }

  /** Returns the index at which an incomplete delimiter may begin. */
  #startOfDelimiter(): number {
    const { length } = this.#rest;
    const start = this.#rest.indexOf(CR, Math.max(0, length - this.#delimiter.length + 1));
    return start === -1 ? length : start;
  }

  #readBoundary(): boolean {
    if (this.#rest.length < CLOSING.length) return false;
    if (this.#rest.subarray(0, CLOSING.length).equals(CLOSING)) {
      this.#state = 'epilogue';
      return true;
    }
    this.#numParts++;
    const { maxParts } = this.#receiver;
    if (this.#numParts > maxParts) {
      const message = `the form has more than ${maxParts} parts (key "max-form-parts")`;
      throw new MeshError('INVALID_REQUEST', message);
    }
    this.#state = 'head';
    return true;
  }

  #readHead(): boolean {
    const end = this.#rest.subarray(0, MAX_HEAD_BYTES).indexOf(BLANK_LINE);
    if (end === -1) {
      if (this.#rest.length < MAX_HEAD_BYTES) return false;
      throw malformed(
        `the header of part ${this.#numParts} is longer than ${MAX_HEAD_BYTES} bytes`,
      );
    }
    // The header's last line break is the one before the blank line, not the blank line's own.
    const head = this.#rest.subarray(0, end + LINE_BREAK.length);
    const firstLine = head.indexOf(LINE_BREAK);
    const padding = head.toString('latin1', 0, firstLine);
    if (!/^[ \t]*$/.test(padding) || head.includes(this.#delimiter)) {
      throw malformed(`part ${this.#numParts} has no header of its own`);
    }
    this.#part = this.#receiver.begin(head.toString('utf8', firstLine + LINE_BREAK.length));
    // If the part has no content, the blank line's break may begin the next delimiter.
    this.#rest = this.#rest.subarray(head.length);
    this.#numForeign = LINE_BREAK.length;
    this.#state = 'content';
    return true;
  }
}

export function malformed(problem: string, cause?: unknown): MeshError {
  const message = `the body is not a well-formed form: ${problem}`;
  return new MeshError('INVALID_REQUEST', message, { cause });
}
