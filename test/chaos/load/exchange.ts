import { sseData } from '#deploy/cli/chat/sse-data.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { UPSTREAM_HEADER } from '#test/chaos/mesh/nginx.ts';
import type { Answer, AnswerReader } from './answer.ts';
import type { RequestCase, Sending } from './request-case.ts';

/** Longest time from a request to the end of its answer, ms. */
const ANSWER_BOUND_MS = 60_000;

/** Most characters of a refusal that are shown. */
const MAX_SHOWN = 160;

/** A request that was sent once, and what came back. */
export interface Exchange {
  readonly requestId: string;
  readonly caseName: string;
  readonly sentMs: number;
  readonly endMs: number;
  /** Times at which tokens came, ms, ascending. */
  readonly tokenTimesMs: readonly number[];
  /** Address of the gateway that answered; "" if none did. */
  readonly gateway: string;
  readonly answer: Answer;
  /** Why the answer is not whole; undefined if it is. */
  readonly failure: ExchangeFailure | undefined;
}

export interface ExchangeFailure {
  /** Whether an answer had begun and its connection broke without a word of the gateway. */
  readonly isBroken: boolean;
  readonly why: string;
}

/** Sends a request and reads its answer as it comes; never throws. */
export async function exchange(
  url: string,
  requestCase: RequestCase,
  sending: Sending,
): Promise<Exchange> {
  const reader = requestCase.createReader();
  const tokenTimesMs: number[] = [];
  const onToken = () => tokenTimesMs.push(performance.now());
  const signal = AbortSignal.timeout(ANSWER_BOUND_MS);
  const sentMs = performance.now();
  const request = fetch(url + requestCase.path, { ...requestCase.post(sending), signal });
  const response = await request.catch((error: unknown) => errorMessage(error));
  const failure =
    typeof response === 'string'
      ? { isBroken: false, why: `no answer: ${response}` }
      : await receive(response, reader, onToken);
  return {
    requestId: sending.requestId,
    caseName: requestCase.name,
    sentMs,
    endMs: performance.now(),
    tokenTimesMs,
    gateway: typeof response === 'string' ? '' : gatewayOf(response),
    answer: reader.answer,
    failure,
  };
}

/** Returns the gateway that nginx asked last. */
function gatewayOf({ headers }: Response): string {
  return headers.get(UPSTREAM_HEADER)?.split(', ').at(-1) ?? '';
}

/** Reads an answer to its end; resolves to what is wrong with it. */
async function receive(
  response: Response,
  reader: AnswerReader,
  onToken: () => void,
): Promise<ExchangeFailure | undefined> {
  const { ok, status, body } = response;
  if (!ok || body === null) {
    const text = await response.text().catch(errorMessage);
    return { isBroken: false, why: `status ${status}: ${shortened(text)}` };
  }
  try {
    for await (const data of sseData(body)) {
      const why = problemOf(() => {
        if (reader.read(data)) onToken();
      });
      if (why !== undefined) return { isBroken: false, why };
    }
  } catch (error: unknown) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    return { isBroken: !isLate, why: `the stream broke: ${errorMessage(error)}` };
  }
  if (reader.isComplete) return undefined;
  return { isBroken: true, why: 'the stream ended before its end' };
}

function problemOf(read: () => void): string | undefined {
  try {
    read();
    return undefined;
  } catch (error: unknown) {
    return errorMessage(error);
  }
}

/** Writes a body in one line that a message can hold. */
function shortened(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, MAX_SHOWN);
}
