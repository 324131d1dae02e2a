import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { countDescriptors, servableConnections } from '#gateway/http/descriptors.ts';

const NEED = { maxConnections: 4096, numOwnConnections: 34 };

function servable(count: Parameters<typeof servableConnections>[1]) {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => lines.push(line) });
  return { number: servableConnections(NEED, count, log), text: lines.join('') };
}

describe('servableConnections', () => {
  it('is what is configured if the descriptors suffice, or cannot be counted', () => {
    for (const count of [{ limit: 65_536, numOpen: 30 }, undefined]) {
      assert.deepEqual(servable(count), { number: 4096, text: '' });
    }
  });

  it('is what the descriptors allow, with a warning that says what is needed', () => {
    const { number, text } = servable({ limit: 256, numOpen: 30 });

    assert.equal(number, 256 - 30 - 34 - 24 - 4 - 8);
    assert.match(text, /\(ulimit -n\) is 256: at most 156 connections .* instead of 4096/);
    assert.match(text, /4196 are needed/);
  });

  it('is one at least', () => {
    assert.equal(servable({ limit: 20, numOpen: 30 }).number, 1);
  });
});

describe('countDescriptors', () => {
  it('counts those of this process on Linux', { skip: process.platform !== 'linux' }, () => {
    const count = countDescriptors();

    assert(count !== undefined && count.numOpen > 2 && count.limit > count.numOpen);
  });
});
