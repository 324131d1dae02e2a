import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import Value from 'typebox/value';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import type { Body } from './chat-request.ts';

export const PHONE_NANO = join(PACKAGE_ROOT, 'deploy/models/phone-nano');

const part = Type.Union([
  Type.Object({ type: Type.Literal('text'), text: Type.String() }),
  Type.Object({ type: Type.Literal('image'), image: Type.String() }),
  Type.Object({ type: Type.Literal('audio'), audio: Type.String() }),
]);

const phoneCase = Type.Object({
  group: Type.String(),
  content: Type.Array(part),
  enable_thinking: Type.Boolean(),
  /** Answer of a perfect model. */
  expected: Type.String(),
  /** Answer of this model's reference implementation. */
  reference: Type.String(),
  /** Whether the reference's answer counts as correct. */
  correct: Type.Boolean(),
  prompt_ids: Type.Optional(Type.Array(Type.Integer())),
});

/** A question to phone-nano from its golden or evaluation file. */
export type PhoneCase = Static<typeof phoneCase>;

export type PhonePart = Static<typeof part>;

export function readPhoneCases(name: 'golden.json' | 'eval.json'): readonly PhoneCase[] {
  const shape = Type.Object({ cases: Type.Array(phoneCase, { minItems: 1 }) });
  return Value.Parse(shape, readPhoneFile(name)).cases;
}

export function readPhoneFile(name: 'golden.json' | 'eval.json'): unknown {
  return JSON.parse(readFileSync(join(PHONE_NANO, name), 'utf8'));
}

/** Makes a chat request of a case, with its media inside. */
export function chatRequest({ content, enable_thinking }: PhoneCase): Body {
  return { messages: [{ role: 'user', content: content.map(chatPart) }], enable_thinking };
}

/** Describes a case for people. */
export function caseName({ content, enable_thinking }: PhoneCase): string {
  const words = content.map(partName).join(' + ');
  return `${words} (${enable_thinking ? 'thinking' : 'not thinking'})`;
}

/** Returns the words of a part, or the path of its file. */
export function partName(one: PhonePart): string {
  if (one.type === 'text') return one.text;
  return one.type === 'image' ? one.image : one.audio;
}

function chatPart(one: PhonePart): Body {
  switch (one.type) {
    case 'text':
      return one;
    case 'image':
      return imagePart(readMedia(one.image));
    case 'audio':
      return { type: 'input_audio', input_audio: { data: base64(one.audio), format: 'wav' } };
  }
}

/** Makes a content part of a PNG. */
export function imagePart(png: Buffer): Body {
  const url = `data:image/png;base64,${png.toString('base64')}`;
  return { type: 'image_url', image_url: { url } };
}

/** Reads a file of phone-nano's media. */
export function readMedia(path: string): Buffer {
  return readFileSync(join(PHONE_NANO, path));
}

function base64(path: string): string {
  return readMedia(path).toString('base64');
}
