import { type ErrorReason, MeshError } from '#mesh/errors.ts';

/** A matcher for `assert.throws`: a MeshError of this reason whose message matches. */
export function refusal(reason: ErrorReason, message: RegExp, param?: string) {
  return (error: unknown) =>
    error instanceof MeshError &&
    error.reason === reason &&
    message.test(error.message) &&
    (param === undefined || error.param === param);
}
