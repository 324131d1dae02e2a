import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cut, excerpt, quoted } from '#mesh/client-text.ts';

describe('client text in messages', () => {
  it('is quoted as it stands when it is short', () => {
    assert.equal(quoted('gpt-4o 微信'), '"gpt-4o 微信"');
  });

  it('is cut to 200 characters', () => {
    assert.equal(excerpt('x'.repeat(200)), 'x'.repeat(200));
    assert.equal(excerpt('x'.repeat(201)), `${'x'.repeat(199)}…`);
  });

  it('shows control characters instead of writing them', () => {
    assert.equal(quoted('a\r\nb\u001b[31m\u2028'), '"a\\u000d\\u000ab\\u001b[31m\\u2028"');
  });

  it('is never cut within a character, and not twice', () => {
    const once = cut('😀'.repeat(10), 8);

    assert.equal(once, '😀😀😀…');
    assert.equal(cut(once, 8), once);
  });
});
