import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestObserver } from '#gateway/requests/request-observer.ts';
import { recordOf } from '#gateway/requests/request-record.ts';
import { ERRORS, type MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { isOpenPath } from './auth.ts';
import { type HttpMetrics, UNKNOWN } from './http-metrics.ts';
import { failureOf, noteFailure } from './request-failure.ts';
import { accessFields, requestFields } from './request-fields.ts';

export interface AccessLogParts {
  readonly metrics: HttpMetrics;
  readonly observer: RequestObserver;
  readonly log: Log;
}

/** Counts each request once, ends its record, and writes its line in the log. */
export class AccessLog {
  readonly #parts: AccessLogParts;

  constructor(parts: AccessLogParts) {
    this.#parts = parts;
  }

  /** Watches a request until its answer has ended, or its client has gone before. */
  watch(request: FastifyRequest, reply: FastifyReply): void {
    // An answer that is cut off has no other event than this one.
    reply.raw.once('close', () => this.#ended(request, reply));
  }

  /** Counts bytes that were refused because they are not HTTP: there is no request and no route. */
  malformed({ reason }: Pick<MeshError, 'reason'>, status: number): void {
    const { metrics, log } = this.#parts;
    metrics.malformed(status);
    log.info({ status, reason }, `malformed HTTP ${status}`);
  }

  #ended(request: FastifyRequest, reply: FastifyReply): void {
    const { metrics, observer, log } = this.#parts;
    const isWhole = reply.raw.writableFinished;
    if (!isWhole && failureOf(request) === undefined) noteFailure(request, { reason: 'CANCELLED' });
    const reason = failureOf(request);
    const { method } = request;
    const handler = request.routeOptions.url ?? UNKNOWN;
    // Without a head, nobody was told a status.
    const { headersSent, statusCode } = reply.raw;
    const status = headersSent ? statusCode : ERRORS[reason ?? 'CANCELLED'].http;
    const elapsedMs = Math.round(reply.elapsedTime);
    metrics.answered({ handler, method, status, elapsedMs });
    const record = recordOf(request);
    if (record !== undefined) {
      record.id = request.id;
      observer.end(record, status);
    }
    const answered = { status, elapsed_ms: elapsedMs };
    const facts = Object.assign(requestFields(request), { reason }, accessFields(record), answered);
    const line = `${method} ${handler} ${status}`;
    // An open path answers 5xx by design if nothing is ready, so that is no warning.
    if (isOpenPath(handler)) log.debug(facts, line);
    else if (status >= 500) log.warn(facts, line);
    else log.info(facts, line);
  }
}
