import { MeshError } from '#mesh/errors.ts';

/** The forms that a request may give an answer, as the protocol names them. */
export type FormName = 'json_schema' | 'regex' | 'choice' | 'grammar' | 'structural_tag';

/**
 * Makes a refusal of a form. `place` is the path within it, such as ".properties.a"; "" for the form
 * itself.
 */
export function formRefusal(form: FormName, place: string, message: string): MeshError {
  const param = `structured_output.${form}${place}`;
  return new MeshError('INVALID_REQUEST', `${param}: ${message}`, { param });
}

/** Thrown where a form needs more work or memory than a request may ask for. */
export class TooComplex extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TooComplex';
  }
}
