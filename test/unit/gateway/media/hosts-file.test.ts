import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hostsFileAddresses } from '#gateway/media/hosts-file.ts';

const TEXT = `
# 10.0.0.9 commented.example
127.0.0.1\tlocalhost
10.0.0.1  Media.example media   # the picture server
fd00::1   media.example
not-an-address media.example
`;

describe('hostsFileAddresses', () => {
  it('returns every address of a name or alias, whatever its case, in order', () => {
    assert.deepEqual(hostsFileAddresses(TEXT, 'media.EXAMPLE'), [
      { address: '10.0.0.1', family: 4 },
      { address: 'fd00::1', family: 6 },
    ]);
    assert.deepEqual(hostsFileAddresses(TEXT, 'media'), [{ address: '10.0.0.1', family: 4 }]);
  });

  for (const name of ['commented.example', 'example', 'dia', '10.0.0.1', '']) {
    it(`knows nothing of ${JSON.stringify(name)}`, () => {
      assert.deepEqual(hostsFileAddresses(TEXT, name), []);
    });
  }

  it('knows localhost and names below it without the file', () => {
    const loopback = [
      { address: '127.0.0.1', family: 4 },
      { address: '::1', family: 6 },
    ];
    assert.deepEqual(hostsFileAddresses('', 'localhost'), loopback);
    assert.deepEqual(hostsFileAddresses('', 'media.localhost'), loopback);
    assert.deepEqual(hostsFileAddresses(TEXT, 'localhost'), loopback.slice(0, 1));
  });
});
