import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { badWordTokens } from '#backbone/request/bad-words.ts';
import { refusal } from '#test/refusal.ts';
import { golden, TEXT_MODEL } from '#test/unit/llm-backbone/text-model.ts';

const tokenizer = await Tokenizer.load(TEXT_MODEL);
const directory = mkdtempSync(join(tmpdir(), 'tokenizer-'));
after(() => rmSync(directory, { recursive: true }));

/** Loads a copy of the text model's tokenizer with other settings. */
async function loadWith(changes: Record<string, unknown>): Promise<Tokenizer> {
  const file: unknown = JSON.parse(readFileSync(join(TEXT_MODEL, 'tokenizer.json'), 'utf8'));
  assert.ok(typeof file === 'object');
  writeFileSync(join(directory, 'tokenizer.json'), JSON.stringify({ ...file, ...changes }));
  return Tokenizer.load(directory);
}

describe('Tokenizer', () => {
  it('gives the ids of every text of the reference', async () => {
    for (const { text, ids } of golden.tokens) {
      assert.deepEqual(await tokenizer.encode(text, { addSpecialTokens: true }), ids, text);
    }
  });

  it('knows as many tokens as the file', () => {
    assert.equal(tokenizer.vocabulary.size, 1490);
  });

  it('adds the tokenizer’s own special tokens only where asked to', async () => {
    const post_processor = {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '<sop>', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
      ],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<sop>': { id: '<sop>', ids: [1471], tokens: ['<sop>'] } },
    };
    const adding = await loadWith({ post_processor });
    const plain = await tokenizer.encode('hi', { addSpecialTokens: false });

    assert.deepEqual(await adding.encode('hi', { addSpecialTokens: true }), [1471, ...plain]);
    assert.deepEqual(await adding.encode('hi', { addSpecialTokens: false }), plain);
  });

  it('does not cut or fill a prompt as the file’s training settings would', async () => {
    const truncation = { direction: 'Right', max_length: 2, strategy: 'LongestFirst', stride: 0 };
    const cutting = await loadWith({ truncation });

    const ids = await cutting.encode('Hello, world!', { addSpecialTokens: false });

    assert.equal(ids.length, 7);
  });

  it('refuses a tokenizer that is not byte-level', async () => {
    await assert.rejects(
      loadWith({ decoder: { type: 'WordPiece' } }),
      refusal('INVALID_REQUEST', /tokenizer\.json: decoder "WordPiece" is not supported/),
    );
  });

  it('refuses a file that is no tokenizer', async () => {
    await assert.rejects(
      loadWith({ model: {} }),
      refusal('INVALID_REQUEST', /not a tokenizer\.json/),
    );
    await assert.rejects(
      Tokenizer.load(join(directory, 'missing')),
      refusal('INVALID_REQUEST', /tokenizer\.json: not found; a model needs its tokenizer/),
    );
  });
});

describe('badWordTokens', () => {
  it('gives the word with and without a space before it', async () => {
    const word = await tokenizer.encode('open', { addSpecialTokens: false });
    const spaced = await tokenizer.encode(' open', { addSpecialTokens: false });

    const expected =
      spaced.length === word.length && spaced[0] !== word[0] ? [word, spaced] : [word];

    assert.deepEqual(await badWordTokens([' open'], tokenizer), expected);
  });

  it('refuses an empty word', async () => {
    await assert.rejects(
      badWordTokens([' '], tokenizer),
      refusal('INVALID_REQUEST', /empty/, 'sampling.bad_words'),
    );
  });
});
