import {
  type Accepted,
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerForm } from './answer-form.ts';
import { ChunkFrame } from './chunk-frame.ts';
import type { Envelope } from './envelope.ts';
import { type AnswerEvent, finishReason, stopReason } from './event.ts';
import { chatLogprobs } from './logprobs.ts';
import { createCallId } from './tool-call.ts';
import { totalUsage, UsageMeter } from './usage.ts';

/** Writes a chat completion stream: role, content, finish with the last token, usage, [DONE]. */
export class ChatChunks {
  readonly #frame: ChunkFrame;
  readonly #form: AnswerForm;
  readonly #echoText: string;
  readonly #meter = new UsageMeter();
  readonly #usage = () => totalUsage([this.#meter]);
  /** Indices of the choices whose finish has been written. */
  readonly #finished = new Set<number>();

  constructor(envelope: Envelope, form: AnswerForm, echoText: string) {
    this.#frame = new ChunkFrame('chat.completion.chunk', envelope, form.streamUsage);
    this.#form = form;
    this.#echoText = echoText;
  }

  /** Returns the frames of one event; "" if it has no news. */
  write(event: AnswerEvent): string {
    this.#meter.observe(event);
    switch (event.$case) {
      case 'accepted':
        return this.#opening(event.value);
      case 'promptLogprobs':
      case 'embedding':
        return '';
      case 'delta':
        return stepsOf(event.value.choices)
          .map((step) => this.#step(step))
          .join('');
      case 'finished':
        return event.value.choices.map((choice) => this.#finish(choice)).join('');
    }
  }

  /** Returns usage, if asked for, and the mark of a complete stream. */
  end(): string {
    return this.#frame.end(this.#usage);
  }

  #opening(accepted: Accepted): string {
    const { numChoices, returnsTokenIds } = this.#form;
    const ids = returnsTokenIds ? JSON.stringify(accepted.promptTokenIds) : 'null';
    const echo = JSON.stringify(this.#echoText);
    let frames = '';
    for (let index = 0; index < numChoices; index++) {
      const role = opening(index, '{"role":"assistant","content":""}');
      frames += this.#frame.chunk(role, this.#usage, `,"prompt_token_ids":${ids}`);
      if (this.#echoText === '') continue;
      frames += this.#frame.chunk(opening(index, `{"content":${echo}}`), this.#usage);
    }
    return frames;
  }

  #step(step: Step): string {
    const { index, content, thoughts, calls, tokenIds, logprobs, finish } = step;
    const { numLogprobs, returnsTokenIds, tokensAsIds, reasoning } = this.#form;
    const shown = reasoning === 'hidden' ? '' : thoughts;
    const hasLogprobs = numLogprobs !== undefined && logprobs.length > 0;
    const hasText = content !== '' || shown !== '' || calls.length > 0;
    const hasNews = hasText || hasLogprobs || returnsTokenIds;
    // Text may lag behind its tokens; a chunk without any news is not sent.
    if (!hasNews && finish === undefined) return '';
    if (finish !== undefined) this.#finished.add(index);
    const list = hasLogprobs
      ? JSON.stringify({ content: chatLogprobs(logprobs, tokensAsIds) })
      : 'null';
    const ids = returnsTokenIds ? JSON.stringify(tokenIds) : 'null';
    const json = `{"index":${index},"delta":${deltaJson(content, shown, calls)},"logprobs":${list},${endJson(finish)},"token_ids":${ids}}`;
    return this.#frame.chunk(json, this.#usage);
  }

  /** Writes the finish of a choice that no token of this answer has ended. */
  #finish(finish: ChoiceFinish): string {
    if (this.#finished.has(finish.index)) return '';
    const { numLogprobs, returnsTokenIds } = this.#form;
    const list = numLogprobs === undefined ? 'null' : '{"content":[]}';
    const ids = returnsTokenIds ? '[]' : 'null';
    const json = `{"index":${finish.index},"delta":{},"logprobs":${list},${endJson(finish)},"token_ids":${ids}}`;
    return this.#frame.chunk(json, this.#usage);
  }
}

/** Everything that one event adds to one choice. */
interface Step extends Pick<ChoiceDelta, 'index' | 'tokenIds' | 'logprobs' | 'finish'> {
  readonly content: string;
  readonly thoughts: string;
  readonly calls: readonly CallPart[];
}

/** What a step adds to a call: its name with the first part, and more of its arguments. */
interface CallPart {
  readonly index: number;
  readonly name: string | undefined;
  readonly text: string;
}

const NO_CALLS: readonly CallPart[] = [];

/** Joins the entries of each choice: a choice may have one for each channel. */
function stepsOf(entries: readonly ChoiceDelta[]): Step[] {
  const [first] = entries;
  if (first !== undefined && entries.length === 1) return [stepOf(first)];
  const steps = new Map<number, Step>();
  for (const entry of entries) {
    const step = stepOf(entry);
    const before = steps.get(entry.index);
    steps.set(entry.index, before === undefined ? step : joined(before, step));
  }
  return [...steps.values()];
}

// Every token of every stream passes here; copying the entry by a spread would cost a microsecond.
function stepOf({ index, text, channel, tokenIds, logprobs, finish, toolCall }: ChoiceDelta): Step {
  if (toolCall !== undefined) {
    const calls = [{ index: toolCall.index, name: toolCall.name, text }];
    return { index, tokenIds, logprobs, finish, content: '', thoughts: '', calls };
  }
  const isThought = channel === Channel.CHANNEL_REASONING;
  const [content, thoughts] = isThought ? ['', text] : [text, ''];
  return { index, tokenIds, logprobs, finish, content, thoughts, calls: NO_CALLS };
}

function joined(a: Step, b: Step): Step {
  return {
    index: a.index,
    content: a.content + b.content,
    thoughts: a.thoughts + b.thoughts,
    calls: b.calls.reduce(withPart, a.calls),
    tokenIds: [...a.tokenIds, ...b.tokenIds],
    logprobs: [...a.logprobs, ...b.logprobs],
    finish: b.finish,
  };
}

/** Adds a part to the last one if both are of one call. */
function withPart(parts: readonly CallPart[], part: CallPart): readonly CallPart[] {
  const last = parts.at(-1);
  if (last?.index !== part.index) return [...parts, part];
  return [...parts.slice(0, -1), { ...last, text: last.text + part.text }];
}

function opening(index: number, delta: string): string {
  return `{"index":${index},"delta":${delta},"logprobs":null,"finish_reason":null}`;
}

function deltaJson(content: string, thoughts: string, calls: readonly CallPart[]): string {
  const written = `"content":${JSON.stringify(content)}`;
  if (thoughts === '' && calls.length === 0) return `{${written}}`;
  const fields = content === '' ? [] : [written];
  if (thoughts !== '') {
    const apart = JSON.stringify(thoughts);
    fields.push(`"reasoning_content":${apart},"reasoning":${apart}`);
  }
  if (calls.length > 0) fields.push(`"tool_calls":[${calls.map(callJson).join(',')}]`);
  return `{${fields.join(',')}}`;
}

function callJson({ index, name, text }: CallPart): string {
  const given = JSON.stringify(text);
  if (name === undefined) return `{"index":${index},"function":{"arguments":${given}}}`;
  const called = `{"name":${JSON.stringify(name)},"arguments":${given}}`;
  return `{"index":${index},"id":"${createCallId()}","type":"function","function":${called}}`;
}

function endJson(finish: ChoiceFinish | undefined): string {
  if (finish === undefined) return '"finish_reason":null';
  const stop = JSON.stringify(stopReason(finish));
  return `"finish_reason":"${finishReason(finish)}","stop_reason":${stop}`;
}
