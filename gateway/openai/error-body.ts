import { docOf, ERRORS, type MeshError } from '#mesh/errors.ts';

/** OpenAI's error object. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    /** The reason in lower case, such as `context_length_exceeded`. */
    readonly code: string;
    /** Where the reason is explained; a field of the mesh's own, which clients of OpenAI ignore. */
    readonly doc: string;
  };
}

export function errorBody(error: MeshError): ErrorBody {
  return {
    error: {
      message: error.message,
      type: ERRORS[error.reason].type,
      param: error.param ?? null,
      code: error.reason.toLowerCase(),
      doc: docOf(error.reason),
    },
  };
}
