import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withGateways } from '#test/chaos/mesh/nginx.ts';

const EXAMPLE = `  upstream autoglm {
    least_conn;
    server 127.0.0.1:8000 max_fails=3;
    server 127.0.0.1:8010 max_fails=3;
    server 127.0.0.1:8020 max_fails=3;
    server 127.0.0.1:8000 backup;
    server 127.0.0.1:8010 backup;
    server 127.0.0.1:8020 backup;
  }
`;

describe('withGateways', () => {
  it('puts each gateway wherever the one of its place is named, and removes the others', () => {
    assert.equal(
      withGateways(EXAMPLE, [9001, 9002]),
      `  upstream autoglm {
    least_conn;
    server 127.0.0.1:9001 max_fails=3;
    server 127.0.0.1:9002 max_fails=3;
    server 127.0.0.1:9001 backup;
    server 127.0.0.1:9002 backup;
  }
`,
    );
  });

  it('refuses an example with too few places', () => {
    assert.throws(() => withGateways(EXAMPLE, [1, 2, 3, 4]), /has 3 gateways, fewer than 4/);
  });
});
