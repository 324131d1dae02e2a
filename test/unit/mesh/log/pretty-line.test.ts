import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { prettyLine, wantsColour } from '#mesh/log/pretty-line.ts';

const ESCAPE = '\u001b[';
const TIME = new Date(2026, 0, 2, 3, 4, 5).getTime();

function line(level: number, fields: object = {}): string {
  return `${JSON.stringify({ level, time: TIME, role: 'gateway', ...fields, msg: 'it is so' })}\n`;
}

describe('a log line for people', () => {
  it('has the time, the process and the level before the message', () => {
    assert.equal(prettyLine(false)(line(30)), '03:04:05 gateway          [INFO] it is so\n');
  });

  it('names the process where a role has several', () => {
    const replica = prettyLine(false)(line(30, { process: 'vision-encoder-2' }));

    assert.equal(replica, '03:04:05 vision-encoder-2 [INFO] it is so\n');
  });

  it('has the other fields behind it', () => {
    assert.equal(
      prettyLine(false)(line(40, { request_id: 'a' })),
      '03:04:05 gateway          [WARN] it is so {"request_id":"a"}\n',
    );
  });

  it('is red for errors and yellow for warnings, and has no colour of its own otherwise', () => {
    const red = `${ESCAPE}31m[ERROR] it is so${ESCAPE}39m`;
    const yellow = `${ESCAPE}33m[WARN] it is so${ESCAPE}39m`;

    assert(prettyLine(true)(line(50)).includes(red));
    assert(prettyLine(true)(line(40)).includes(yellow));
    assert(prettyLine(true)(line(30)).endsWith(' [INFO] it is so\n'));
    assert(!prettyLine(false)(line(50)).includes(ESCAPE));
  });

  it('has colours on a terminal alone, and not where NO_COLOR is set', () => {
    assert.equal(wantsColour(true, {}), true);
    assert.equal(wantsColour(false, {}), false);
    assert.equal(wantsColour(true, { NO_COLOR: '1' }), false);
    assert.equal(wantsColour(true, { NO_COLOR: '' }), true);
    assert.equal(wantsColour(true, { TERM: 'dumb' }), false);
  });
});
