import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { refusal } from '#test/refusal.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'model-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(files: Readonly<Record<string, unknown>>): void {
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

describe('readModelFiles', () => {
  it('reads the demo model', async () => {
    const files = await readModelFiles(join(PACKAGE_ROOT, 'deploy/models/phone-nano'), undefined);

    assert.deepEqual(files.eosTokenIds, [1467, 1474, 1476, 1489]);
    assert.equal(files.generationConfig.do_sample, false);
    assert.deepEqual(files.modalities, ['image', 'audio']);
    assert.deepEqual(files.placeholderIds, { image: 1481, audio: 1485 });
    assert.equal(files.mergeSize, 2);
    assert.equal(files.dtype, 'bfloat16');
    assert.equal(files.specialTokens['eos_token'], '<|endoftext|>');
    assert.match(files.chatTemplate?.text ?? '', /^\[gMASK\]/);
  });

  it('falls back to the end ids of config.json', async () => {
    write({ 'config.json': { text_config: { eos_token_id: 7 } } });

    assert.deepEqual((await readModelFiles(directory, undefined)).eosTokenIds, [7]);
  });

  it('takes the dtype from the top where the text block has a null', async () => {
    write({ 'config.json': { dtype: 'bfloat16', text_config: { dtype: null, eos_token_id: 7 } } });

    assert.equal((await readModelFiles(directory, undefined)).dtype, 'bfloat16');
  });

  it('takes the template of tokenizer_config.json where there is no file', async () => {
    const chat_template = [
      { name: 'tools', template: 'x' },
      { name: 'default', template: 'y' },
    ];
    write({ 'config.json': {}, 'tokenizer_config.json': { chat_template } });

    assert.equal((await readModelFiles(directory, undefined)).chatTemplate?.text, 'y');
  });

  it('prefers a template given by the operator', async () => {
    write({ 'config.json': {}, 'chat_template.jinja': 'own', 'other.jinja': 'given' });

    const files = await readModelFiles(directory, join(directory, 'other.jinja'));

    assert.equal(files.chatTemplate?.text, 'given');
  });

  it('looks for the template where the reference does, in its order', async () => {
    const places: readonly (readonly [string, unknown])[] = [
      ['tokenizer_config.json', { chat_template: { default: 'tokenizer', tool_use: 't' } }],
      ['processor_config.json', { chat_template: 'processor' }],
      ['chat_template.json', { chat_template: 'json' }],
      ['additional_chat_templates/default.jinja', 'additional'],
      ['chat_template.jinja', 'jinja'],
    ];
    const texts: (string | undefined)[] = [];
    write({ 'config.json': {} });
    for (const [name, content] of places) {
      write({ [name]: content });
      texts.push((await readModelFiles(directory, undefined)).chatTemplate?.text);
    }

    assert.deepEqual(texts, ['tokenizer', 'processor', 'json', 'additional', 'jinja']);
  });

  it('names the templates that are there and not used', async () => {
    write({
      'config.json': {},
      'chat_template.jinja': 'jinja',
      'additional_chat_templates/tool_use.jinja': 'tools',
      'chat_template.json': { chat_template: 'jinja' },
      'tokenizer_config.json': { chat_template: [{ name: 'default', template: 'older' }] },
    });
    const used = join(directory, 'chat_template.jinja');

    assert.deepEqual((await readModelFiles(directory, undefined)).chatTemplate?.unused, [
      `${join(directory, 'additional_chat_templates')}: the chat template "tool_use" has no effect, that of ${used} is used`,
      `${join(directory, 'tokenizer_config.json')}: the chat template "default" has no effect, that of ${used} is used`,
    ]);
  });

  it('does without a template', async () => {
    write({ 'config.json': {} });

    assert.equal((await readModelFiles(directory, undefined)).chatTemplate, null);
  });

  it('refuses a directory that does not exist', async () => {
    await assert.rejects(
      readModelFiles(join(directory, 'missing'), undefined),
      refusal('INVALID_REQUEST', /config\.json: not found; is it a model directory/, 'model'),
    );
  });

  it('refuses a directory without config.json', async () => {
    await assert.rejects(
      readModelFiles(directory, undefined),
      refusal('INVALID_REQUEST', /config\.json: not found/, 'model'),
    );
  });

  it('refuses a template file that does not exist', async () => {
    write({ 'config.json': {} });

    await assert.rejects(
      readModelFiles(directory, join(directory, 'no.jinja')),
      refusal('INVALID_REQUEST', /no\.jinja not found/, 'chat-template'),
    );
  });

  it('names the file and the key of a malformed value', async () => {
    write({ 'config.json': {}, 'generation_config.json': { temperature: 'hot' } });

    await assert.rejects(
      readModelFiles(directory, undefined),
      refusal('INVALID_REQUEST', /generation_config\.json: \/temperature/),
    );
  });

  it('names a file that is not JSON', async () => {
    write({ 'config.json': '{' });

    await assert.rejects(
      readModelFiles(directory, undefined),
      refusal('INVALID_REQUEST', /config\.json: not JSON/),
    );
  });
});
