import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import { parseAction } from '#mesh/answer/phone-action.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { forcedText, grammarOf, refusalOfForm, takesText } from './forced-text.ts';

const SEED = 14;
const NUM_TEXTS = 40;

const regex = (value: string): LimitingForm => ({ $case: 'regex', value });
const gbnf = (value: string): LimitingForm => ({ $case: 'grammar', value });
const tag = (value: object): LimitingForm => ({
  $case: 'structuralTag',
  value: JSON.stringify(value),
});

describe('a regular expression', () => {
  const PATTERNS = [
    'abc',
    'a|bc|',
    '(a|b)*c{2,3}',
    '^[a-z]+@[\\w.]{1,9}$',
    '[^a-y]{2}',
    '\\d{4}-\\d\\d?',
    'é+[日本]?\\u00e9\\x41',
    '(?:a(?<name>b)?)+?',
    '[-a\\]^]\\.\\n',
    '^a|b$',
    '.{3}',
    '[\\s\\S]{0,2}',
    '(?=[a-c]{2}$)[^b]*',
    'a(?!bc|d$)[a-d]{1,3}|x(?:(?=.z)yz|q)?',
  ];
  for (const pattern of PATTERNS) {
    it(`makes texts that match as a whole: ${pattern}`, async () => {
      const grammar = await grammarOf(regex(pattern));
      const random = seededRandom(SEED);
      const whole = new RegExp(`^(?:${pattern})$`, 'u');
      for (let i = 0; i < NUM_TEXTS; i++) {
        const text = forcedText(grammar, random);
        assert.match(text, whole);
      }
    });
  }

  it('takes what matches, and nothing else', async () => {
    const grammar = await grammarOf(regex('(a|b)*c{2,3}'));

    for (const text of ['cc', 'abaccc']) assert(takesText(grammar, text), text);
    for (const text of ['', 'c', 'cccc', 'ccd', 'acbcc']) assert(!takesText(grammar, text), text);
  });

  const FAULTS: readonly (readonly [pattern: string, message: RegExp])[] = [
    ['(a', /a group that does not end at character 1/],
    ['a)', /an unexpected "\)" at character 2/],
    ['[a', /a class that does not end/],
    ['*a', /nothing to repeat at character 1/],
    ['a**', /nothing to repeat/],
    ['a{3,2}', /out of order/],
    ['[b-a]', /out of order/],
    ['(?<=a)b', /look-behind/],
    ['(a(?=b))+b', /a look-ahead that is repeated/],
    ['(?=a)'.repeat(9), /more than 8 look-aheads/],
    ['(a)\\1', /back-reference/],
    ['\\bword', /boundary/],
    ['\\p{L}', /property of Unicode/],
    ['a^b', /"\^" that is not at the beginning/],
    ['a$b', /"\$" that is not at the end/],
    ['\\', /at the end/],
    ['a{99999}', /more than 10000/],
    [`${'('.repeat(300)}${')'.repeat(300)}`, /groups within each other/],
  ];
  for (const [pattern, message] of FAULTS) {
    it(`is refused with its fault: ${pattern.slice(0, 20)}`, () => {
      const refusal = refusalOfForm(regex(pattern));

      assert.equal(refusal.param, 'structured_output.regex');
      assert.match(refusal.message, message);
    });
  }

  for (const pattern of ['(a|b)*a(a|b){20}', '((a{100}){100}){100}', '.{9000}.{9000}']) {
    it(`that explodes is refused after a bounded amount of work: ${pattern}`, () => {
      assert.match(refusalOfForm(regex(pattern)).message, /too much work|states/);
    });
  }
});

describe('a choice', () => {
  it('makes each of its texts, and no other', async () => {
    const texts = ['yes', 'yes, please', 'né', '日'];
    const grammar = await grammarOf({ $case: 'choice', value: { texts } });
    const random = seededRandom(SEED);

    const made = new Set(Array.from({ length: 100 }, () => forcedText(grammar, random)));

    assert.deepEqual([...made].sort(), texts.sort());
  });
});

describe('a grammar', () => {
  it('is read as llama.cpp and XGrammar write it', async () => {
    const grammar = await grammarOf(
      gbnf(`
        # A sum of products.
        root ::= term ( ws "+" ws term )*   # as many as it likes
        term ::= factor
               | factor "*" term
        factor ::= [0-9]{1,3} | "(" root ")" | [^\\x00-\\x7F] | "\\"\\u0041"
        ws ::= " "?
      `),
    );

    for (const text of ['1', '12*3 + 4', '(1+é)*999', '"A+(("A))']) {
      assert(takesText(grammar, text), text);
    }
    for (const text of ['', '1+', '1234', '()', '1  + 2']) assert(!takesText(grammar, text), text);
  });

  const FAULTS: readonly (readonly [source: string, message: RegExp])[] = [
    ['root ::= ', /^$/],
    ['root ::= a', /line 1: the rule "a" is not defined/],
    ['a ::= "b"', /the rule "root" is not defined/],
    ['root ::= "a"\nroot ::= "b"', /line 2: root is defined twice/],
    ['root ::= ("a"', /a group that does not end/],
    ['root ::= "a', /line 1: cannot be read from/],
    ['root ::= [z-a]', /out of order/],
    ['root ::= root "a" | "b"', /the rule "root": it begins with itself/],
    ['root ::= a\na ::= b? a "x" | "y"\nb ::= "b"', /the rule "a": it begins with itself/],
    ['root ::= "a" root', /no text of it ends/],
    ['root ::= "a" {99999}', /at most 10000/],
    [`root ::= "a"${'*'.repeat(100_000)}`, /line 1: more than 200 repetitions of a part/],
    ['"a" ::= "b"', /expected the name of a rule/],
  ];
  for (const [source, message] of FAULTS.filter(([, { source: one }]) => one !== '^$')) {
    it(`is refused with its line: ${JSON.stringify(source).slice(0, 80)}`, () => {
      const refusal = refusalOfForm(gbnf(source));

      assert.equal(refusal.param, 'structured_output.grammar');
      assert.match(refusal.message, message);
    });
  }
});

describe('a structural tag', () => {
  const SCHEMA = { type: 'object', properties: { x: { type: 'integer' } }, required: ['x'] };
  const TAG = {
    begin: '<f=a>',
    content: { type: 'json_schema', json_schema: SCHEMA },
    end: '</f>',
  };

  it('leaves text free up to a trigger, and gives its tag the content', async () => {
    const grammar = await grammarOf(
      tag({ type: 'triggered_tags', triggers: ['<f='], tags: [TAG], at_least_one: true }),
    );

    for (const text of ['hi <f=a>{"x":1}</f> < f <f=a>{"x":2}</f>', '<<f=a>{"x":1}</f>']) {
      assert(takesText(grammar, text), text);
    }
    for (const text of ['hi', '<f=b>{"x":1}</f>', '<f=a>{"x":"1"}</f>', '<f=a>{"x":1}</f><f=']) {
      assert(!takesText(grammar, text), text);
    }
  });

  it('has the older form with structures and triggers', async () => {
    const structures = [{ begin: '<f=a>', schema: SCHEMA, end: '</f>' }];
    const grammar = await grammarOf(tag({ type: 'structural_tag', structures, triggers: ['<f='] }));

    for (const text of ['', 'free', 'a<f=a>{"x":1}</f>b']) assert(takesText(grammar, text), text);
    assert(!takesText(grammar, '<f=a>1</f>'));
  });

  it('is made of sequences, alternatives, constants, expressions, grammars and free text', async () => {
    const grammar = await grammarOf(
      tag({
        format: {
          type: 'sequence',
          elements: [
            { type: 'tag', begin: '<t>', content: { type: 'any_text' }, end: '</t>' },
            {
              type: 'or',
              elements: [
                { type: 'const_string', value: '!' },
                { type: 'regex', pattern: '\\d' },
              ],
            },
            { type: 'grammar', grammar: 'root ::= "g" root?' },
            { type: 'tags_with_separator', separator: ';', tags: [TAG] },
          ],
        },
      }),
    );

    assert(takesText(grammar, '<t>any <t> text</t>7gg<f=a>{"x":1}</f>;<f=a>{"x":2}</f>'));
    assert(takesText(grammar, '<t></t>!g'));
    assert(!takesText(grammar, '<t></t>x'));
  });

  const FAULTS: readonly (readonly [value: object, place: string, message: RegExp])[] = [
    [{ type: 'xml' }, '.type', /one of const_string/],
    [{ format: { type: 'sequence', elements: [] } }, '.format.elements', /list of 1 to/],
    [
      {
        type: 'tag',
        begin: 'a',
        end: 'b',
        content: { type: 'json_schema', json_schema: { $dynamicRef: '#' } },
      },
      '.content.json_schema.$dynamicRef',
      /not supported/,
    ],
    [
      { type: 'triggered_tags', triggers: ['<g'], tags: [TAG] },
      '.tags[0].begin',
      /begins with no trigger/,
    ],
    [{ type: 'regex', pattern: '(' }, '.pattern', /does not end/],
    [{ type: 'grammar', grammar: 'root ::= x' }, '.grammar', /not defined/],
  ];
  for (const [value, place, message] of FAULTS) {
    it(`is refused with its place: ${place}`, () => {
      const refusal = refusalOfForm(tag(value));

      assert.equal(refusal.param, `structured_output.structural_tag${place}`);
      assert.match(refusal.message, message);
    });
  }
});

describe('an action of the phone agent', () => {
  it('is one that exists, with coordinates from 0 to 999', async () => {
    const grammar = await grammarOf({ $case: 'phoneAction', value: {} });
    const random = seededRandom(SEED);

    for (let i = 0; i < 100; i++) {
      const text = forcedText(grammar, random);
      const action = parseAction(text);
      assert(action !== undefined, text);
      for (const [, x, y] of text.matchAll(/\[(\d+), ?(\d+)\]/g)) {
        assert(Number(x) <= 999 && Number(y) <= 999, text);
      }
    }
  });

  it('is as the models write it', async () => {
    const grammar = await grammarOf({ $case: 'phoneAction', value: {} });

    for (const text of [
      '<answer>do(action="Launch", app="微信")',
      'do(action="Tap", element=[500,120])',
      '\n<answer>do(action="Swipe", start=[0, 999], end=[10, 20])',
      'finish(message="Done \\"well\\"")',
      'do(action="Back")',
    ]) {
      assert(takesText(grammar, text), text);
    }
    for (const text of [
      'do(action="Dance")',
      'do(action="Tap", element=[1000,1])',
      'do(action="Tap")',
      'do(action="Launch", app="a"b")',
      'Sure! do(action="Back")',
    ]) {
      assert(!takesText(grammar, text), text);
    }
  });
});
