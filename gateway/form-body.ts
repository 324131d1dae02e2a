import { Busboy } from '@fastify/busboy';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MeshError } from '#mesh/errors.ts';

/** Bounds of a form; the whole of it is bounded by the largest body. */
const LIMITS = {
  fields: 64,
  fieldSize: 256 * 1024,
  // One more than any route takes, so that "two files" can be told from "too many".
  files: 2,
  headerPairs: 32,
} as const;

/** One uploaded file of a form. */
export interface FormFile {
  /** Name of the field. */
  readonly field: string;
  /** Type the client declared. */
  readonly declaredType: string;
  readonly bytes: Buffer;
}

/** A form as it was sent: texts by field, in order, and files. */
export class FormBody {
  readonly texts = new Map<string, string[]>();
  readonly files: FormFile[] = [];
}

/** Makes the routes of `app` take `multipart/form-data` and nothing else. */
export function acceptForms(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = (request: FastifyRequest, body: Buffer) =>
    parseForm(body, request.headers['content-type'] ?? '');
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, parse);
  app.addContentTypeParser('*', async () => {
    throw notAForm();
  });
}

export function notAForm(): MeshError {
  return new MeshError('UNSUPPORTED_CONTENT_TYPE', 'send "Content-Type: multipart/form-data"');
}

export async function parseForm(body: Buffer, contentType: string): Promise<FormBody> {
  try {
    return await readForm(body, contentType);
  } catch (cause: unknown) {
    if (cause instanceof MeshError) throw cause;
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    throw refusal(`the body is not a well-formed form${why}`, cause);
  }
}

function readForm(body: Buffer, contentType: string): Promise<FormBody> {
  return new Promise((resolve, reject) => {
    const form = new FormBody();
    const parser = new Busboy({ headers: { 'content-type': contentType }, limits: LIMITS });
    parser.on('field', (name, value, _, isCut) => {
      if (isCut) reject(refusal(`${name} is longer than ${LIMITS.fieldSize} bytes`));
      const values = form.texts.get(name);
      if (values === undefined) form.texts.set(name, [value]);
      else values.push(value);
    });
    parser.on('file', (field, stream, _name, _encoding, declaredType) => {
      const chunks: Buffer[] = [];
      stream.on('error', reject);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () =>
        form.files.push({ field, declaredType, bytes: Buffer.concat(chunks) }),
      );
    });
    parser.on('filesLimit', () => reject(refusal(`a form may have ${LIMITS.files} files`)));
    parser.on('fieldsLimit', () => reject(refusal(`a form may have ${LIMITS.fields} fields`)));
    parser.on('error', reject);
    parser.on('finish', () => resolve(form));
    parser.end(body);
  });
}

function refusal(message: string, cause?: unknown): MeshError {
  return new MeshError('INVALID_REQUEST', message, { cause });
}
