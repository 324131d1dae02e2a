import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FormBody } from '#gateway/http/body/form-body.ts';
import { FormReader } from '#gateway/http/body/form-reader.ts';
import { ByteBudget } from '#gateway/media/byte-budget.ts';

const TYPE = 'multipart/form-data; boundary=edge';
const END = '--edge--\r\n';
const FILES = { maxItemBytes: 1_000_000, maxTotalBytes: 1_500_000 };
const LIMITS = { maxParts: 8, files: () => new ByteBudget(FILES) };

function part(disposition: string, value: string, ...headers: readonly string[]): string {
  const lines = [`Content-Disposition: form-data; ${disposition}`, ...headers];
  return `--edge\r\n${lines.join('\r\n')}\r\n\r\n${value}\r\n`;
}

const text = (name: string, value: string) => part(`name="${name}"`, value);
const file = (name: string, value: string) => part(`name="${name}"; filename="a.wav"`, value);

interface Sent {
  readonly type?: string;
  /** Number of bytes that arrive together; unset: all. */
  readonly blockBytes?: number;
}

function read(body: string | Buffer, { type = TYPE, blockBytes = Infinity }: Sent = {}): FormBody {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const reader = new FormReader(type, LIMITS);
  const step = Math.min(blockBytes, Math.max(1, bytes.length));
  for (let i = 0; i < bytes.length; i += step) reader.push(bytes.subarray(i, i + step));
  return reader.finish();
}

/** Returns the texts of a form whose only part has this header, or says that the part is a file. */
function soleText(disposition: string, ...headers: readonly string[]): unknown {
  const { texts, files } = read(part(disposition, 'value', ...headers) + END);
  return files.length > 0 ? 'a file' : [...texts];
}

describe('FormReader', () => {
  it('reads texts by field, in order, and files byte for byte', () => {
    const bytes = '\0\xff\r\n--edg'.repeat(50_000);

    const form = read(
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

  for (const blockBytes of [1, 2, 3, 7, 31]) {
    it(`reads the same however it is cut, here into ${blockBytes} bytes`, () => {
      const bytes = 'RIFF\r\n--edg\r\n\r\r\n--ed\r';
      const body = [file('file', bytes), text('a', 'b'), file('none', ''), END].join('');

      const form = read(`preamble\r\n${body}epilogue\r\n--edge\r\n`, { blockBytes });

      assert.deepEqual([...form.texts], [['a', ['b']]]);
      assert.deepEqual(
        form.files.map((one) => [one.field, one.bytes.toString('latin1')]),
        [
          ['file', bytes],
          ['none', ''],
        ],
      );
    });
  }

  it('reads a form without fields', () => {
    const { texts, files } = read(END);

    assert.deepEqual([texts.size, files.length], [0, 0]);
  });

  it('reads a part whose blank line is the line break of its end', () => {
    const { texts } = read(`${text('a', '').slice(0, -2)}${text('b', 'c')}${END}`);

    assert.deepEqual(
      [...texts],
      [
        ['a', ['']],
        ['b', ['c']],
      ],
    );
  });

  const WRITTEN: readonly (readonly [string, Sent['type'] & string])[] = [
    ['quoted', 'multipart/form-data; boundary="edge"'],
    ['not quoted', 'multipart/form-data; boundary=edge'],
    ['before another parameter', 'multipart/form-data; boundary=edge; charset=utf-8'],
    ['after another parameter', 'Multipart/Form-Data;charset=utf-8 ;Boundary=edge'],
  ];
  for (const [name, type] of WRITTEN) {
    it(`takes a boundary ${name}`, () => {
      assert.deepEqual([...read(text('a', 'b') + END, { type }).texts], [['a', ['b']]]);
    });
  }

  it('takes the longest boundary that is allowed', () => {
    const boundary = "a'()+_,-./:=? ".repeat(5);
    const type = `multipart/form-data; boundary="${boundary}"`;
    const body = (text('a', 'b') + END).replaceAll('edge', boundary);

    assert.deepEqual([...read(body, { type }).texts], [['a', ['b']]]);
  });

  const FIELDS = [
    ['a quoted name', 'name="a b;c"', 'a b;c'],
    ['a name without quotes', 'name=a', 'a'],
    ['a name with escaped quotes', String.raw`name="say \"a\" \\ b"`, String.raw`say "a" \ b`],
    ['a name with other backslashes', String.raw`name="C:\temp"`, String.raw`C:\temp`],
    ['a name in UTF-8', `name="${Buffer.from('名').toString('latin1')}"`, '名'],
    ['other parameters', 'x=y; name=a', 'a'],
  ] as const;
  for (const [what, disposition, name] of FIELDS) {
    it(`takes ${what}`, () => {
      assert.deepEqual(soleText(disposition), [[name, ['value']]]);
    });
  }

  const FILES = [
    ['a file name', 'name=a; filename="b.wav"', undefined],
    ['an empty file name', 'name=a; filename=""', undefined],
    ['an encoded file name', `name=a; filename*=UTF-8''b.wav`, undefined],
    ['a type of bytes', 'name=a', 'Content-Type: application/octet-stream'],
  ] as const;
  for (const [what, disposition, header] of FILES) {
    it(`takes a part with ${what} as a file`, () => {
      assert.equal(soleText(disposition, ...(header === undefined ? [] : [header])), 'a file');
    });
  }

  it('takes header lines of any case, order and folding', () => {
    const head = 'X-A: 1\r\ncontent-type: text/plain\r\nCONTENT-DISPOSITION:form-data;\r\n\tname=a';

    const { texts } = read(`--edge \t\r\n${head}\r\n\r\nb\r\n${END}`);

    assert.deepEqual([...texts], [['a', ['b']]]);
  });

  it('keeps the type a file was declared as', () => {
    const body = part('name=file; filename=a', 'b', 'Content-Type: audio/WAV; rate=16000');

    assert.equal(read(body + END).files[0]?.declaredType, 'audio/wav');
  });

  const CHARSETS = [
    ['none', [], Buffer.from('é打')],
    ['UTF-8', ['Content-Type: text/plain; charset=UTF-8'], Buffer.from('é打')],
    ['another', ['Content-Type: text/plain; charset="gbk"'], Buffer.from('a8a6b4f2', 'hex')],
  ] as const;
  for (const [name, headers, bytes] of CHARSETS) {
    it(`decodes a text whose charset is ${name}`, () => {
      const body = part('name=a', bytes.toString('latin1'), ...headers);

      assert.deepEqual([...read(body + END).texts], [['a', ['é打']]]);
    });
  }

  const early = text('a', 'b').replace('\r\n\r\n', '\r\n');
  const REFUSALS = [
    ['an empty body', '', /before its closing boundary/],
    ['what is no form', 'hello', /before its closing boundary/],
    ['lines that end without CR', text('a', 'b').replaceAll('\r', ''), /before its closing/],
    ['a form cut off in a header', '--edge\r\nContent-Dis', /before its closing boundary/],
    ['a form cut off in a text', text('a', 'b').slice(0, -4), /before its closing boundary/],
    ['a form cut off in a file', file('file', 'b').slice(0, -3), /before its closing boundary/],
    ['a form without its end', file('file', 'b'), /before its closing boundary/],
    ['a header that never ends', `--edge\r\nX: ${'y'.repeat(20_000)}`, /longer than 16384 bytes/],
    ['a part that ends within its header', early + text('c', 'd') + END, /has no header/],
    [
      'a line that goes on after the boundary',
      text('a', 'b').replace('edge', 'edges'),
      /no header/,
    ],
    ['a part without a header', `--edge\r\n\r\nb\r\n${END}`, /no header "Content-Disposition/],
    ['a part without a name', part('filename=a', 'b'), /no header "Content-Disposition/],
    ['a disposition that is no field', text('a', 'b').replace('form-data', 'inline'), /form-data/],
    ['a name that is too long', text('a'.repeat(101), 'b'), /has 101 characters, of 100/],
    ['a text that is too long', text('a', 'b'.repeat(262_145)), /a is longer than 262144/],
    ['an unknown charset', part('name=a', '', 'Content-Type: a/b; charset=x'), /charset/],
    ['too many parts', text('a', 'b').repeat(9), /more than 8 parts \(key "max-form-parts"\)/],
    ['too many files', file('a', 'b').repeat(3), /may have 2 files/],
  ] as const;
  for (const [name, body, message] of REFUSALS) {
    it(`refuses ${name}`, () => {
      assert.throws(() => read(body), { reason: 'INVALID_REQUEST', message });
    });
  }

  it('refuses a file at the first byte too many, and files that are too large together', () => {
    const open = file('file', 'b'.repeat(1_000_001)).slice(0, -2);
    const together = file('a', 'b'.repeat(800_000)).repeat(2);

    assert.throws(() => read(open), { reason: 'PAYLOAD_TOO_LARGE', message: /^file .* 1 MB/ });
    assert.throws(() => read(together), { reason: 'PAYLOAD_TOO_LARGE', message: /1.5 MB/ });
  });

  const TYPES = [
    ['no boundary', 'multipart/form-data', /names no boundary/],
    ['an empty boundary', 'multipart/form-data; boundary=""', /1 to 70 characters, got 0/],
    [
      'a boundary that is too long',
      `multipart/form-data; boundary=${'e'.repeat(71)}`,
      /1 to 70 characters, got 71/,
    ],
  ] as const;
  for (const [name, type, message] of TYPES) {
    it(`refuses a type with ${name}`, () => {
      assert.throws(() => read(END, { type }), { reason: 'INVALID_REQUEST', message });
    });
  }
});
