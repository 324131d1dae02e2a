import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { Body } from './body.ts';

interface RefusedField {
  readonly name: string;
  /** Tells whether a value has any effect; a field without effect is accepted. */
  readonly asks: (value: unknown, body: Body) => boolean;
  readonly why: string;
}

const always = () => true;
const isFilled = (value: unknown) => !Array.isArray(value) || value.length > 0;
const isTrue = (value: unknown) => value !== false;
const isForcedChoice = (value: unknown) => value !== 'none';
const isFormatted = (value: unknown) => !(isRecord(value) && value['type'] === 'text');
const isBeyondN = (value: unknown, body: Body) => value !== (body['n'] ?? 1);
const asksForAudio = (value: unknown) => !Array.isArray(value) || value.some((m) => m !== 'text');

const NO_TOOLS = 'tool calls are not supported by this server';
const NO_STRUCTURE = 'structured output is not supported by this server';

/** Fields that must not be ignored silently, because the answer would not be the one asked for. */
const REFUSED_FIELDS: readonly RefusedField[] = [
  { name: 'tools', asks: isFilled, why: NO_TOOLS },
  { name: 'functions', asks: isFilled, why: NO_TOOLS },
  { name: 'tool_choice', asks: isForcedChoice, why: `${NO_TOOLS}; only "none" is accepted` },
  { name: 'function_call', asks: isForcedChoice, why: `${NO_TOOLS}; only "none" is accepted` },
  {
    name: 'response_format',
    asks: isFormatted,
    why: `${NO_STRUCTURE}; only {"type":"text"} is accepted`,
  },
  { name: 'structured_outputs', asks: always, why: NO_STRUCTURE },
  { name: 'guided_json', asks: always, why: NO_STRUCTURE },
  { name: 'guided_regex', asks: always, why: NO_STRUCTURE },
  { name: 'guided_choice', asks: always, why: NO_STRUCTURE },
  { name: 'guided_grammar', asks: always, why: NO_STRUCTURE },
  { name: 'modalities', asks: asksForAudio, why: 'answers are text; only ["text"] is accepted' },
  { name: 'best_of', asks: isBeyondN, why: 'best_of beyond n is not supported; ask for n choices' },
  { name: 'suffix', asks: (value) => value !== '', why: 'text insertion is not supported' },
  { name: 'use_beam_search', asks: isTrue, why: 'beam search is not supported' },
  {
    name: 'chat_template',
    asks: always,
    why: 'the server chooses the template; see --chat-template',
  },
];

/** Refuses fields that this server cannot honour. */
export function refuseUnsupported(body: Body): void {
  for (const { name, asks, why } of REFUSED_FIELDS) {
    const value = body[name];
    if (value !== undefined && asks(value, body)) {
      throw new MeshError('INVALID_REQUEST', `${name}: ${why}`, { param: name });
    }
  }
}
