import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type FormBody, parseForm } from '#gateway/form-body.ts';

const TYPE = 'multipart/form-data; boundary=edge';
const END = '--edge--\r\n';

function part(disposition: string, value: string): string {
  return `--edge\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${value}\r\n`;
}

const text = (name: string, value: string) => part(`name="${name}"`, value);
const file = (name: string, value: string) => part(`name="${name}"; filename="a.wav"`, value);

const parse = (body: string, type = TYPE): Promise<FormBody> =>
  parseForm(Buffer.from(body, 'latin1'), type);

describe('parseForm', () => {
  it('reads texts by field, in order, and files byte for byte', async () => {
    const bytes = '\0\xff\r\n--edg'.repeat(50_000);

    const form = await parse(
      [text('model', 'm'), file('file', bytes), text('a[]', '1'), text('a[]', ''), END].join(''),
    );

    assert.deepEqual(
      [...form.texts],
      [
        ['model', ['m']],
        ['a[]', ['1', '']],
      ],
    );
    assert.equal(form.files.length, 1);
    assert.equal(form.files[0]?.field, 'file');
    assert(form.files[0]?.bytes.equals(Buffer.from(bytes, 'latin1')));
  });

  it('reads a form without fields', async () => {
    const { texts, files } = await parse(END);

    assert.deepEqual([texts.size, files.length], [0, 0]);
  });

  const REFUSALS = [
    ['an empty body', '', /Unexpected end/],
    ['what is no form', 'hello', /Unexpected end/],
    ['a form cut off in a header', '--edge\r\nContent-Dis', /Unexpected end/],
    ['a form cut off in a text', text('a', 'b').slice(0, -4), /Unexpected end/],
    ['a form cut off in a file', file('file', 'b'.repeat(5000)).slice(0, -1000), /Unexpected end/],
    ['a form without its end', file('file', 'b'), /Unexpected end/],
    ['a text that is too long', text('a', 'b'.repeat(262_145)) + END, /a is longer than 262144/],
    ['too many texts', text('a', 'b').repeat(65) + END, /may have 64 fields/],
    ['too many files', file('a', 'b').repeat(3) + END, /may have 2 files/],
  ] as const;
  for (const [name, body, message] of REFUSALS) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(parse(body), { reason: 'INVALID_REQUEST', message });
    });
  }

  it('refuses a type without a boundary', async () => {
    await assert.rejects(parse(END, 'multipart/form-data'), {
      reason: 'INVALID_REQUEST',
      message: /Boundary not found/,
    });
  });
});
