import { MeshError } from '#mesh/errors.ts';

/** One uploaded file of a form. */
export interface FormFile {
  /** Name of the field. */
  readonly field: string;
  /** Media type that the client declared. */
  readonly declaredType: string;
  readonly bytes: Buffer;
}

/** A submitted form: texts by field, in order, and files. */
export class FormBody {
  readonly texts = new Map<string, string[]>();
  readonly files: FormFile[] = [];
}

export function notAForm(): MeshError {
  return new MeshError('UNSUPPORTED_CONTENT_TYPE', 'send "Content-Type: multipart/form-data"');
}
