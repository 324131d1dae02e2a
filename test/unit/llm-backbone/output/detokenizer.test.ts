import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { Detokenizer, detokenize } from '#backbone/output/detokenizer.ts';
import type { Emit } from '#backbone/output/output-stage.ts';
import { golden, vocabulary } from '#test/unit/llm-backbone/text-model.ts';

const visible = { skipSpecialTokens: false };

/** Makes a vocabulary whose token n is byte n, written as byte-level BPE does. */
function byteVocabulary(): Vocabulary {
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  const shown = all.filter((b) => (b > 32 && b < 127) || (b > 160 && b !== 173));
  const hidden = all.filter((b) => !shown.includes(b));
  const vocab = Object.fromEntries([
    ...shown.map((b) => [String.fromCharCode(b), b]),
    ...hidden.map((b, i) => [String.fromCharCode(256 + i), b]),
  ]);
  return new Vocabulary({ added_tokens: [], model: { vocab }, decoder: { type: 'ByteLevel' } });
}

const bytes = byteVocabulary();

/** Returns the outputs of a detokenizer as texts. */
function textsOf(detokenizer: Detokenizer) {
  const textOf = (work: (emit: Emit) => void) => {
    let text = '';
    work((piece) => {
      text += piece.text;
    });
    return text;
  };
  return {
    push: (id: number) => textOf((emit) => detokenizer.push(id, emit)),
    flush: () => textOf((emit) => detokenizer.flush(emit)),
  };
}

describe('Detokenizer', () => {
  it('gives back every text of the reference', () => {
    for (const { ids, decoded } of golden.tokens) {
      const detokenizer = textsOf(new Detokenizer(vocabulary, visible));
      const pieces = ids.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
      assert.equal(pieces, decoded);
      assert.equal(detokenize(vocabulary, ids, visible), decoded);
    }
    assert.equal(golden.tokens.length, 145);
  });

  it('emits a character with its last byte and nothing before', () => {
    const detokenizer = textsOf(new Detokenizer(bytes, visible));

    const pieces = [...Buffer.from('é你😀')].map((byte) => detokenizer.push(byte));

    assert.deepEqual(pieces, ['', 'é', '', '', '你', '', '', '', '😀']);
  });

  it('drops a character that the end has cut', () => {
    const detokenizer = textsOf(new Detokenizer(bytes, visible));

    assert.equal(detokenizer.push(0xe4), '');
    assert.equal(detokenizer.push(0xbd), '');
    assert.equal(detokenizer.flush(), '');
    assert.equal(detokenizer.push(0xa0), '�');
  });

  it('replaces bytes that cannot become a character as soon as that is certain', () => {
    const detokenizer = textsOf(new Detokenizer(bytes, visible));

    assert.equal(detokenizer.push(0xe4), '');
    assert.equal(detokenizer.push(0x41), '�A');
    assert.equal(detokenizer.push(0xff), '�');
  });

  it('gives the same text however invalid bytes are cut', () => {
    let state = 7;
    const next = (limit: number) => {
      state = (state * 48271) % 2147483647;
      return state % limit;
    };
    const leads = [0x41, 0x80, 0xbf, 0xc0, 0xc3, 0xe0, 0xe4, 0xed, 0xf0, 0xf4, 0xf5, 0x9f];
    for (let round = 0; round < 500; round++) {
      const list = Array.from({ length: 12 }, () => leads[next(leads.length)] ?? 0);

      const detokenizer = textsOf(new Detokenizer(bytes, visible));
      const pieces = list.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
      const whole = Buffer.from(list);
      const uncut = new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole, { stream: true });
      assert.equal(pieces, uncut, `${list}`);
      assert.equal(detokenize(bytes, list, visible), whole.toString('utf8'), `${list}`);
    }
  });

  it('leaves special tokens out and keeps added tokens that are not special', () => {
    const ids = ['<|user|>', '<think>', '</answer>'].map(
      (token) => vocabulary.addedId(token) ?? -1,
    );

    assert.equal(detokenize(vocabulary, ids, { skipSpecialTokens: true }), '<think></answer>');
    assert.equal(detokenize(vocabulary, ids, visible), '<|user|><think></answer>');
  });

  it('shows special tokens that were asked for', () => {
    const id = vocabulary.addedId('<|user|>') ?? -1;
    const options = { skipSpecialTokens: true, visibleIds: new Set([id]) };

    assert.equal(detokenize(vocabulary, [id], options), '<|user|>');
  });
});
