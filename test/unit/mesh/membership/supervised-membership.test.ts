import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type SupervisorChannel,
  supervisedMembership,
} from '#mesh/membership/supervised-membership.ts';
import { type Member, memberAt } from '#mesh/peers/membership.ts';
import type { ToProcess, ToSupervisor } from '#mesh/process/supervision.ts';
import { within } from '#test/bounded.ts';

/** A supervisor that says what a test tells it to, and keeps what it was asked. */
class ScriptedSupervisor implements SupervisorChannel {
  readonly asked: ToSupervisor[] = [];
  #say = (_message: ToProcess) => {};

  readonly listen = (onMessage: (message: ToProcess) => void) => {
    this.#say = onMessage;
  };

  readonly tell = (message: ToSupervisor) => {
    this.asked.push(message);
  };

  says(role: string, ...members: readonly Member[]): void {
    this.#say({ kind: 'members', role, members });
  }
}

function follow(role: string) {
  const supervisor = new ScriptedSupervisor();
  const ending = new AbortController();
  const lists = supervisedMembership(role, supervisor)(ending.signal)[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await within(lists.next(), { what: 'a list of members' });
    if (done) return undefined;
    return value.map(({ address, isLeaving }) => (isLeaving ? `${address} leaves` : address));
  };
  return { supervisor, next, ending };
}

describe('the membership that a supervisor tells', () => {
  it('asks the supervisor, and yields its lists as they come', async () => {
    const { supervisor, next } = follow('llm-backbone');
    assert.deepEqual(supervisor.asked, [{ kind: 'asks members', role: 'llm-backbone' }]);

    supervisor.says('llm-backbone', memberAt('a:1'));
    assert.deepEqual(await next(), ['a:1']);
    supervisor.says('llm-backbone', memberAt('a:1'), { ...memberAt('b:1'), isLeaving: true });
    assert.deepEqual(await next(), ['a:1', 'b:1 leaves']);
    supervisor.says('llm-backbone');
    assert.deepEqual(await next(), []);
  });

  it('passes over what the supervisor tells of other roles', async () => {
    const { supervisor, next } = follow('vision-encoder');

    const first = next();
    supervisor.says('llm-backbone', memberAt('a:1'));
    supervisor.says('vision-encoder', memberAt('v:1'));

    assert.deepEqual(await first, ['v:1']);
  });

  it('ends with its signal', async () => {
    const { next, ending } = follow('llm-backbone');

    const first = next();
    ending.abort();

    assert.equal(await first, undefined);
  });
});
