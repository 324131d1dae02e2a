import { type Body, jsonPost } from '#test/e2e/request/chat-request.ts';
import { LONG_ANSWER } from '#test/e2e/request/load.ts';

/** What became of requests: how often each outcome came. */
export type Outcomes = Map<string, number>;

export const ANSWERED = 'answered';
/** The outcome of a request that broke off after its status had come. */
export const CUT = 'cut off after its first byte';

export interface Crowd {
  /** Number of clients that ask for whole answers one after the other. */
  readonly numWhole: number;
  /** Number of clients that stream long answers one after the other. */
  readonly numStreams: number;
  readonly question: Body;
}

/** Clients that ask until they are told to stop. */
export class Clients {
  readonly whole: Outcomes = new Map();
  readonly streams: Outcomes = new Map();
  readonly #running: Promise<unknown>;
  #isOver = false;

  constructor(url: string, { numWhole, numStreams, question }: Crowd) {
    const keepAsking = async (outcomes: Outcomes, ask: () => Promise<string>) => {
      while (!this.#isOver) count(outcomes, await ask());
    };
    this.#running = Promise.all([
      ...times(numWhole, () => keepAsking(this.whole, () => wholeOutcome(url, question))),
      ...times(numStreams, () => keepAsking(this.streams, () => streamOutcome(url))),
    ]);
  }

  /** Lets every client finish what it has asked. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

function count(outcomes: Outcomes, outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

async function wholeOutcome(url: string, question: Body): Promise<string> {
  try {
    const answer = await fetch(`${url}/v1/chat/completions`, jsonPost(question));
    const text = await answer.text();
    return answer.status === 200 ? ANSWERED : `${answer.status} ${text.slice(0, 200)}`;
  } catch (error: unknown) {
    return String(error);
  }
}

async function streamOutcome(url: string): Promise<string> {
  const request = jsonPost({ ...LONG_ANSWER, stream: true });
  const answer = await fetch(`${url}/v1/chat/completions`, request).catch(String);
  if (typeof answer === 'string') return answer;
  if (answer.status !== 200) return `${answer.status} ${(await answer.text()).slice(0, 200)}`;
  const text = await answer.text().catch(() => '');
  return text.endsWith('data: [DONE]\n\n') ? ANSWERED : CUT;
}
