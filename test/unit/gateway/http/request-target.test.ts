import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plainTarget } from '#gateway/http/request-target.ts';

describe('plainTarget', () => {
  it('leaves a path and a query, without slashes at the end of the path', () => {
    const targets = {
      '/': '/',
      '': '/',
      '///': '/',
      '/health': '/health',
      '/health/': '/health',
      '/health//?x=/': '/health?x=/',
      '/?x': '/?x',
      '/v1/models/a/b/': '/v1/models/a/b',
      'http://host.example:8000/health?x=1': '/health?x=1',
      'HTTP://host.example': '/',
      'https://host.example?x': '/?x',
      '*': '*',
    };

    for (const [target, plain] of Object.entries(targets)) {
      assert.equal(plainTarget(target), plain, target);
    }
  });
});
