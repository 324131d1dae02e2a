import type { GenerateEvent } from '#gateway/routing/generate-call.ts';
import type { ChoiceDelta, Delta } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** Gathers the events of an answer, so that it can be given again; text runs together. */
export class ReplyRecorder {
  readonly #events: GenerateEvent[][] = [];

  /** Takes an event of the prompt at `index`. */
  add(event: GenerateEvent, index: number): void {
    this.#events[index] ??= [];
    const events = this.#events[index];
    const last = events.at(-1);
    if (event.$case !== 'delta') events.push(event);
    else if (last?.$case === 'delta') extend(last.value, event.value);
    else events.push({ $case: 'delta', value: { choices: event.value.choices.map(copyOf) } });
  }

  get events(): readonly (readonly GenerateEvent[])[] {
    return this.#events;
  }
}

/** Adds one step to what earlier ones brought. */
function extend(delta: Delta, { choices }: Delta): void {
  for (const step of choices) {
    const last = delta.choices.findLast(({ index }) => index === step.index);
    const isSameCall = last?.toolCall?.index === step.toolCall?.index;
    if (last?.channel !== step.channel || !isSameCall) {
      delta.choices.push(copyOf(step));
      continue;
    }
    last.text += step.text;
    for (const tokenId of step.tokenIds) last.tokenIds.push(tokenId);
    for (const logprob of step.logprobs) last.logprobs.push(logprob);
    last.finish = step.finish;
  }
}

function copyOf(choice: ChoiceDelta): ChoiceDelta {
  return { ...choice, tokenIds: [...choice.tokenIds], logprobs: [...choice.logprobs] };
}
