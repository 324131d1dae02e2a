import type { Degradation } from '#gateway/degradation/degradation.ts';
import type { Reply } from '#gateway/degradation/reply.ts';
import { ReplyRecorder } from '#gateway/degradation/reply-recorder.ts';
import { ruleReply } from '#gateway/degradation/rules.ts';
import { bodyHash } from '#gateway/http/body/body-hash.ts';
import { requestFields } from '#gateway/http/request-fields.ts';
import type { ModelRoute } from '#gateway/routing/model-route.ts';
import { ERRORS, MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { AnswerSource } from './answer-call.ts';
import { type AnswerWriter, heldBack, recorded } from './answer-writer.ts';
import { type AnswerRequest, generateAnswer } from './generate-answer.ts';
import type { AnswerContext } from './route-context.ts';

type CreateWriter<Last> = (served: AnswerSource) => AnswerWriter<Last>;
type DegradedKind = 'fallback-model' | 'cache' | 'rule';

/** Fields of a body that change how an answer is sent and not what it says. */
const FORM_FIELDS: ReadonlySet<string> = new Set(['stream', 'stream_options', 'request_id']);

/**
 * Generates an answer; if no replica of the model can, and nothing of an answer has been sent,
 * gives what the configuration has instead: another model's answer, the one an identical request of
 * the same client got, or one by a rule. Without any, the model's own failure is thrown.
 */
export async function answerOrDegrade<Last>(
  context: AnswerContext,
  request: AnswerRequest,
  createWriter: CreateWriter<Last>,
): Promise<Last> {
  const { degradation } = context;
  if (degradation === undefined) return await generateAnswer(context, request, createWriter);
  return await new Ladder({ context, degradation, request, createWriter }).answer();
}

interface LadderParts<Last> {
  readonly context: AnswerContext;
  readonly degradation: Degradation;
  readonly request: AnswerRequest;
  readonly createWriter: CreateWriter<Last>;
}

/** One request on its way down. */
class Ladder<Last> {
  readonly #parts: LadderParts<Last>;
  #hasSent = false;

  constructor(parts: LadderParts<Last>) {
    this.#parts = parts;
  }

  async answer(): Promise<Last> {
    let failure: unknown;
    try {
      return await this.#own();
    } catch (error: unknown) {
      if (!this.#mayDegrade(error)) throw error;
      failure = error;
    }
    for (const rung of this.#rungs(failure)) {
      try {
        const answered = await rung();
        if (answered !== undefined) return answered.last;
      } catch (error: unknown) {
        // Whatever keeps a rung from answering, a lower one may; the client is told of the first.
        if (this.#hasSent || this.#parts.request.run.signal.aborted) throw error;
      }
    }
    throw failure;
  }

  /** The ways to answer after `failure`, best first; undefined where one has no answer. */
  #rungs(failure: unknown): (() => Promise<{ last: Last } | undefined>)[] {
    const { degradation, request, context } = this.#parts;
    const { call } = request;
    const asked = call.model ?? context.router.models()[0]?.name ?? '';
    const fallbacks = call.isModelBound === true ? [] : degradation.fallbacks.of(asked);
    return [
      ...fallbacks.map((model) => () => this.#byModel(model, failure)),
      async () => {
        const key = await this.#cacheKey();
        const reply = key === undefined ? undefined : degradation.cache?.get(key);
        return reply && (await this.#give(reply, { kind: 'cache', servedBy: 'cache', failure }));
      },
      async () => {
        const { rules } = degradation;
        const reply = rules && call.takesRules ? ruleReply(rules, call.starts) : undefined;
        return reply && (await this.#give(reply, { kind: 'rule', servedBy: reply.name, failure }));
      },
    ];
  }

  /** Asks the model that the request names, and keeps its answer for a later identical request. */
  async #own(): Promise<Last> {
    const { context, degradation, request, createWriter } = this.#parts;
    const { cache } = degradation;
    const recorder = new ReplyRecorder();
    let served: ModelRoute | undefined;
    const last = await generateAnswer(context, this.#sending(request), (source) => {
      served = source.route;
      const writer = createWriter(source);
      return heldBack(cache === undefined ? writer : recorded(writer, recorder));
    });
    const key = cache === undefined ? undefined : await this.#cacheKey();
    if (key !== undefined && served !== undefined) {
      cache?.set(key, { name: served.name, model: served.model, events: recorder.events });
    }
    return last;
  }

  async #byModel(model: string, failure: unknown): Promise<{ last: Last }> {
    const { context, request, createWriter } = this.#parts;
    const label = { kind: 'fallback-model', servedBy: `fallback-model:${model}`, failure } as const;
    const onFirst = () => this.#label(label);
    const asked = { ...request, call: { ...request.call, model } };
    const last = await generateAnswer(context, this.#sending(asked, onFirst), (source) =>
      heldBack(createWriter(source)),
    );
    if (!this.#hasSent) onFirst();
    return { last };
  }

  /** Writes a reply that is there. */
  async #give({ name, model, events }: Reply, label: DegradedLabel): Promise<{ last: Last }> {
    const { request, createWriter } = this.#parts;
    const { signal } = request.run;
    const writer = createWriter({ route: { name, model }, signal });
    let frames = '';
    for (const [index, ofPrompt] of events.entries()) {
      for (const event of ofPrompt) frames += await writer.write(event, index);
    }
    const last = await writer.end();
    this.#label(label);
    if (frames !== '') await request.run.send(frames);
    return { last };
  }

  /** Returns a request that notes when something is sent, and calls `onFirst` before it is. */
  #sending(request: AnswerRequest, onFirst = () => {}): AnswerRequest {
    const send = (frames: string) => {
      if (!this.#hasSent) onFirst();
      this.#hasSent = true;
      return request.run.send(frames);
    };
    return { ...request, run: { ...request.run, send } };
  }

  #label({ kind, servedBy, failure }: DegradedLabel): void {
    const { context, request } = this.#parts;
    // A header takes printable ASCII only, and a model may be called anything.
    request.run.label(servedBy.replaceAll(/[^\x20-\x7e]/g, '?'));
    context.metrics.degradedReplies.add(1, { kind });
    const reason = failure instanceof MeshError ? failure.reason : undefined;
    const facts = { ...requestFields(request.exchange.request), reason };
    context.log.warn(facts, `answered by ${servedBy}, since the model could not`);
  }

  #mayDegrade(error: unknown): boolean {
    const { degradation, request } = this.#parts;
    if (!(error instanceof MeshError) || this.#hasSent || request.run.signal.aborted) return false;
    const { model } = request.call;
    if (error.reason === 'MODEL_NOT_FOUND') {
      // None of its replicas has been seen yet.
      return model !== undefined && degradation.fallbacks.names(model);
    }
    const { http, retryElsewhere } = ERRORS[error.reason];
    return http >= 500 && retryElsewhere;
  }

  /** Names what was asked and by whom; undefined if the same words may mean other media later. */
  async #cacheKey(): Promise<string | undefined> {
    const { context, degradation, request } = this.#parts;
    const { call, exchange } = request;
    const kinds = call.media.references.map(({ source }) => source.kind);
    if (
      degradation.cache === undefined ||
      kinds.some((one) => one === 'remote' || one === 'file')
    ) {
      return undefined;
    }
    const { body, routeOptions, raw } = exchange.request;
    const said = isRecord(body)
      ? Object.fromEntries(Object.entries(body).filter(([name]) => !FORM_FIELDS.has(name)))
      : body;
    return `${context.clients.nameOf(raw)} ${routeOptions.url} ${await bodyHash(said)}`;
  }
}

interface DegradedLabel {
  readonly kind: DegradedKind;
  /** What is said in the header of the answer. */
  readonly servedBy: string;
  /** Why the model's own answer is not given. */
  readonly failure: unknown;
}
