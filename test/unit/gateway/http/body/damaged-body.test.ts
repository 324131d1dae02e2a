import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FormReader } from '#gateway/http/body/form-reader.ts';
import { JsonBounds } from '#gateway/http/body/json-bounds.ts';
import { ByteBudget } from '#gateway/media/byte-budget.ts';
import { MeshError } from '#mesh/errors.ts';
import { checkMutants, type Specimen } from '#test/mutations.ts';

/** Returns the result of a reading, or the reason and the message of its refusal. */
function outcomeOf(read: () => unknown): unknown {
  try {
    return read();
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    return [error.reason, error.message];
  }
}

function inBlocks(bytes: Buffer, blockBytes: number, push: (block: Buffer) => void): void {
  for (let at = 0; at < bytes.length; at += blockBytes) push(bytes.subarray(at, at + blockBytes));
}

/** Finds the places at which a text begins in another. */
function marksOf(bytes: Buffer, text: string): number[] {
  const marks: number[] = [];
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) marks.push(at);
  return marks;
}

const FORM = Buffer.from(
  [
    '--edge',
    'Content-Disposition: form-data; name="model"',
    '',
    'phone-nano',
    '--edge',
    'Content-Disposition: form-data; name="file"; filename="a\\"b.wav"',
    'Content-Type: audio/wav; charset=utf-8',
    '',
    'RIFF\r\n--edg\r\n\r\nWAVE',
    '--edge--',
    '',
  ].join('\r\n'),
);

function readForm(bytes: Buffer, blockBytes: number): unknown {
  const limits = { maxItemBytes: 200, maxTotalBytes: 300 };
  const reader = new FormReader('multipart/form-data; boundary=edge', {
    maxParts: 4,
    files: () => new ByteBudget(limits),
  });
  inBlocks(bytes, blockBytes, (block) => reader.push(block));
  const { texts, files } = reader.finish();
  assert(files.reduce((sum, file) => sum + file.bytes.length, 0) <= bytes.length);
  return {
    texts: [...texts],
    files: files.map((file) => ({ ...file, bytes: String(file.bytes) })),
  };
}

const JSON_BODY = Buffer.from(
  String.raw`{"a":[1,-2.5e3,true,null,{"b":"x\"y\\"}],"c":{"d":[[],{}]},"e":"\u0022[{"}`,
);

function countValues(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  const numNames = Array.isArray(value) ? 0 : Object.keys(value).length;
  const inner: unknown[] = Object.values(value);
  return inner.reduce<number>((sum, one) => sum + countValues(one), 10 + numNames);
}

function bound(bytes: Buffer, maxValues: number, blockBytes: number): void {
  const bounds = new JsonBounds({ maxValues, maxDepth: Infinity });
  inBlocks(bytes, blockBytes, (block) => bounds.push(block));
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

describe('a damaged body', () => {
  it('is read or refused as a form, the same however it is cut', async () => {
    const marks = [...marksOf(FORM, '--edg'), ...marksOf(FORM, '\r\n')].sort((a, b) => a - b);
    const specimen: Specimen = { name: 'form', bytes: FORM, marks };

    await checkMutants([specimen], 2000, (bytes) => {
      const whole = outcomeOf(() => readForm(bytes, FORM.length * 8));
      for (const blockBytes of [1, 7]) {
        assert.deepEqual(
          outcomeOf(() => readForm(bytes, blockBytes)),
          whole,
        );
      }
    });
  });

  it('has no more values as JSON than were counted while it came, however it is cut', async () => {
    const specimen: Specimen = { name: 'JSON', bytes: JSON_BODY, marks: marksOf(JSON_BODY, '"') };
    let numParsed = 0;

    await checkMutants([specimen], 4000, (bytes) => {
      for (const blockBytes of [1, 3, bytes.length + 1]) {
        outcomeOf(() => bound(bytes, 79, blockBytes));
        const value = parsed(bytes);
        if (value === undefined) continue;
        numParsed += 1;
        const tooFew = countValues(value) - 1;
        assert.throws(() => bound(bytes, tooFew, blockBytes), MeshError);
      }
    });

    assert(numParsed > 0);
  });
});
