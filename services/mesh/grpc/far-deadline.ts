import type { ServerInterceptor } from '@grpc/grpc-js';

/** Milliseconds by which a deadline that has passed when its call begins is none that a caller set. */
const LAPSE_MS = 1000;

/**
 * Takes the deadline off a call for which grpc-js has read a wrong one, before the call reaches `first`,
 * the interceptor next to the connection. grpc-js keeps 32 bits of a deadline's milliseconds, so one that
 * is 25 days away or more may lie in the past, which would end the call at once.
 */
export function withFarDeadlines(first: ServerInterceptor): ServerInterceptor {
  return (method, call) => {
    if (Number(call.getDeadline()) < Date.now() - LAPSE_MS) {
      clearTimeout(Reflect.get(call, 'deadlineTimer'));
      Reflect.set(call, 'deadline', Number.POSITIVE_INFINITY);
    }
    return first(method, call);
  };
}
