import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MeshError } from '#mesh/errors.ts';
import { FormBody, notAForm } from './form-body.ts';
import { parseHeaderValue } from './header-value.ts';
import { Multipart, malformed, type PartContent } from './multipart.ts';
import { utf8Text } from './parse-json.ts';
import { type PartHead, parsePartHead } from './part-head.ts';
import { type ReceiveLimits, receiveBody } from './receive-body.ts';

export interface FormLimits {
  /** Most parts, texts and files together. */
  readonly maxParts: number;
  /** Makes the budget for the files of one form. */
  readonly files: () => FileBudget;
}

/** Counts the bytes of a form's files. */
export interface FileBudget {
  /**
   * Returns the account of the file in a field; `take` throws at the first byte over the budget.
   */
  item(field: string): { take(numBytes: number): void };
}

export interface FormReading extends FormLimits {
  readonly receive: ReceiveLimits;
}

const MAX_TEXT_BYTES = 256 * 1024;
/** One more file than any route takes, so that "two files" differs from "too many". */
const MAX_FILES = 2;

/** Makes the routes of `app` take only `multipart/form-data`. */
export function acceptForms(app: FastifyInstance, reading: FormReading): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'multipart/form-data',
    (_request: FastifyRequest, raw: IncomingMessage) => receiveForm(raw, reading),
  );
  app.addContentTypeParser('*', async () => {
    throw notAForm();
  });
}

async function receiveForm(raw: IncomingMessage, reading: FormReading): Promise<FormBody> {
  const reader = new FormReader(raw.headers['content-type'] ?? '', reading);
  await receiveBody(raw, { limits: reading.receive, take: (block) => reader.push(block) });
  return reader.finish();
}

/** Reads a form while it arrives; refuses it at the first byte over a limit. */
export class FormReader {
  readonly #form = new FormBody();
  readonly #multipart: Multipart;
  readonly #budget: FileBudget;
  #numFiles = 0;

  constructor(contentType: string, { maxParts, files }: FormLimits) {
    const boundary = parseHeaderValue(contentType).params.get('boundary');
    if (boundary === undefined) throw malformed('its content type names no boundary');
    this.#budget = files();
    this.#multipart = new Multipart(boundary, {
      maxParts,
      begin: (lines) => {
        const head = parsePartHead(lines);
        return head.isFile ? this.#file(head) : this.#text(head);
      },
    });
  }

  push(bytes: Buffer): void {
    this.#multipart.push(bytes);
  }

  /** Returns the form after its body has ended. */
  finish(): FormBody {
    this.#multipart.finish();
    return this.#form;
  }

  #file({ name: field, declaredType }: PartHead): PartContent {
    this.#numFiles++;
    if (this.#numFiles > MAX_FILES) throw refusal(`a form may have ${MAX_FILES} files`);
    const chunks: Buffer[] = [];
    const budget = this.#budget.item(field);
    return {
      write: (bytes) => {
        budget.take(bytes.length);
        chunks.push(bytes);
      },
      end: () => this.#form.files.push({ field, declaredType, bytes: Buffer.concat(chunks) }),
    };
  }

  #text({ name, charset }: PartHead): PartContent {
    const decode = decoderOf(charset, name);
    const chunks: Buffer[] = [];
    let numBytes = 0;
    return {
      write: (bytes) => {
        numBytes += bytes.length;
        if (numBytes > MAX_TEXT_BYTES) {
          throw refusal(`${name} is longer than ${MAX_TEXT_BYTES} bytes`, name);
        }
        chunks.push(bytes);
      },
      end: () => {
        const text = decode(Buffer.concat(chunks));
        const texts = this.#form.texts.get(name);
        if (texts === undefined) this.#form.texts.set(name, [text]);
        else texts.push(text);
      },
    };
  }
}

/** Returns the decoder of a field's text; it refuses bytes that are not of the charset. */
function decoderOf(charset: string | undefined, name: string): (bytes: Buffer) => string {
  const decoder = textDecoder(charset ?? 'utf-8');
  if (decoder.encoding === 'utf-8') return (bytes) => utf8Text(bytes, name, name);
  return (bytes) => {
    try {
      return decoder.decode(bytes);
    } catch {
      throw refusal(`${name} is not ${decoder.encoding}, as its header says; send UTF-8`, name);
    }
  };
}

function textDecoder(charset: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset, { fatal: true });
  } catch (cause: unknown) {
    throw malformed('a text is of a charset that is not known; send UTF-8', cause);
  }
}

function refusal(message: string, param?: string): MeshError {
  return new MeshError('INVALID_REQUEST', message, param === undefined ? {} : { param });
}
