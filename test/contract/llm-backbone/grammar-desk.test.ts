import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { GrammarDesk } from '#backbone/grammar/grammar-desk.ts';
import { createTokenTrie, type Grammar, type TokenTrie } from '#native';
import { refusal } from '#test/refusal.ts';

const { signal } = new AbortController();

const noMatcher = (): never => {
  throw new Error('no test follows a text');
};

/** Opens a desk over a vocabulary whose grammars are all alike. */
function openDesk(test: TestContext, maxWaiting = 64) {
  const grammars: Grammar[] = [];
  const trie: TokenTrie = {
    compile: async () => {
      const grammar = { numBytes: 1, createMatcher: noMatcher };
      grammars.push(grammar);
      return grammar;
    },
  };
  const desk = new GrammarDesk(trie, { maxWaiting });
  test.after(() => desk.close());
  const compile = (client: string, word: string, stop = signal) =>
    desk.compile({ $case: 'regex', value: word }, { client, signal: stop });
  return { compile, grammars };
}

describe('a desk that compiles the forms of answers', () => {
  it('lets clients take turns, whatever each of them has waiting', async (test) => {
    const { compile } = openDesk(test);
    const order: string[] = [];
    const ask = async (client: string, word: string) => {
      await compile(client, word);
      order.push(word);
    };

    const floods = ['a1', 'a2', 'a3', 'a4'].map((word) => ask('flood', word));
    await Promise.all([...floods, ask('single', 'b1')]);

    assert.deepEqual(order, ['a1', 'a2', 'b1', 'a3', 'a4']);
  });

  it('compiles a form once for all who ask for it', async (test) => {
    const { compile, grammars } = openDesk(test);

    const both = await Promise.all([compile('one', 'a'), compile('two', 'a')]);
    const later = await compile('one', 'a');

    assert.equal(grammars.length, 1);
    assert.deepEqual([...both, later], [grammars[0], grammars[0], grammars[0]]);
  });

  it('compiles nothing for who has left, and everything for the others', async (test) => {
    const { compile, grammars } = openDesk(test);
    const leaving = new AbortController();

    const [first, second, third] = [
      compile('one', 'a', leaving.signal),
      compile('one', 'b', leaving.signal),
      compile('two', 'c'),
    ];
    leaving.abort(new Error('left'));

    await assert.rejects(first, /left/);
    await assert.rejects(second, /left/);
    assert.equal(await third, grammars.at(-1));
    assert.equal(grammars.length, 1);
  });

  it('refuses more forms than may wait', async (test) => {
    const { compile } = openDesk(test, 1);

    const [first, second] = [compile('one', 'a'), compile('one', 'b')];

    await assert.rejects(compile('two', 'c'), refusal('QUEUE_FULL', /waiting to be read/));
    await Promise.all([first, second]);
  });

  it('refuses a form that can be read in too many ways as the fault of its request', async (test) => {
    const words = Array.from({ length: 400 }, (_, i) => 'a'.repeat(i + 1));
    const starts = new Uint32Array(words.length + 1);
    for (const [i, { length }] of words.entries()) starts[i + 1] = (starts[i] ?? 0) + length;
    const bytes = Buffer.from(words.join(''));
    const trie = createTokenTrie({ bytes, starts, numLogits: words.length });
    const desk = new GrammarDesk(trie, { maxWaiting: 64 });
    test.after(() => desk.close());
    const names = Array.from({ length: 60 }, (_, i) => `r${i}`);
    const any = `(${names.join(' | ')})`;
    const rules = names.map((name) => `${name} ::= "a" | "a" ${any} ${any}`);
    const value = [`root ::= ${any}`, ...rules].join('\n');

    const compiled = desk.compile({ $case: 'grammar', value }, { client: 'one', signal });

    const message = /^structured_output\.grammar: a text can be read in too many ways/;
    await assert.rejects(compiled, refusal('INVALID_REQUEST', message));
  });

  it('follows each of hundreds of schemas that begin alike', async (test) => {
    const starts = Uint32Array.from({ length: 257 }, (_, byte) => byte);
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const desk = new GrammarDesk(createTokenTrie({ bytes, starts, numLogits: 256 }), {
      maxWaiting: 64,
    });
    test.after(() => desk.close());
    const kinds = Array.from({ length: 600 }, (_, i) => `k${i}`);
    const schema = {
      $defs: Object.fromEntries(kinds.map((kind) => [kind, { const: { kind, x: `${kind}!` } }])),
      anyOf: kinds.map((kind) => ({ $ref: `#/$defs/${kind}` })),
    };
    const value = JSON.stringify(schema);

    const grammar = await desk.compile({ $case: 'jsonSchema', value }, { client: 'one', signal });

    for (const kind of ['k0', 'k299', 'k599']) {
      const matcher = grammar.createMatcher();
      const text = JSON.stringify({ kind, x: `${kind}!` });
      const numTaken = [...Buffer.from(text)].findIndex((byte) => !matcher.accept(byte));
      assert.equal(numTaken, -1, `${text} is refused at ${numTaken}`);
      assert.ok(matcher.isComplete);
    }
  });
});
