import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRules, readRules } from '#gateway/degradation/rules-file.ts';
import { refusal } from '#test/refusal.ts';

const RULE = `language: en
rules:
  - name: away
    patterns: ['*']
    answers:
      en: I am away.
      zh: 我不在。
`;

/** Files that are refused, and what is said of them. */
const WRONG: readonly (readonly [string, string, RegExp])[] = [
  ['broken YAML', 'language: [', /^rules\.yaml:\d+: /],
  ['a list', '- a\n', /^rules\.yaml:1: /],
  ['no language', RULE.replace('language: en\n', ''), /^rules\.yaml:1: .*language/],
  [
    'an unknown key',
    RULE.replace('    patterns', '    regex: a\n    patterns'),
    /^rules\.yaml:4: rules\.0\.regex is not known/,
  ],
  ['an empty pattern', RULE.replace("'*'", "''"), /^rules\.yaml:4: rules\.0\.patterns\.0 /],
  ['a long pattern', RULE.replace('*', 'x'.repeat(201)), /^rules\.yaml:4: /],
  ['a name for no header', RULE.replace('away', 'a b'), /^rules\.yaml:3: rules\.0\.name /],
  ['an answer that is no text', RULE.replace('我不在。', '[1]'), /^rules\.yaml:7: /],
  [
    'no answer in its language',
    RULE.replace('language: en', 'language: de'),
    /^rules\.yaml:6: rules\.0\.answers must have one in de/,
  ],
  [
    'a name twice',
    RULE + RULE.slice(RULE.indexOf('  - ')),
    /^rules\.yaml:8: rules\.1\.name: away is there twice/,
  ],
];

describe('parseRules', () => {
  it('reads rules', () => {
    const { language, rules } = parseRules('rules.yaml', RULE);

    assert.equal(language, 'en');
    assert.deepEqual(rules, [
      {
        name: 'away',
        patterns: ['*'],
        answers: new Map([
          ['en', 'I am away.'],
          ['zh', '我不在。'],
        ]),
      },
    ]);
  });

  it('reads JSON', () => {
    const rule = { name: 'a', patterns: ['b'], answers: { en: 'c' } };
    const { rules } = parseRules('rules.json', JSON.stringify({ language: 'en', rules: [rule] }));

    assert.equal(rules[0]?.answers.get('en'), 'c');
  });

  for (const [what, text, message] of WRONG) {
    it(`refuses ${what} with its line`, () => {
      assert.throws(
        () => parseRules('rules.yaml', text),
        refusal('INVALID_REQUEST', message, 'rulesFile'),
      );
    });
  }

  it('refuses a file that is not there', async () => {
    await assert.rejects(
      readRules('/nowhere/rules.yaml'),
      refusal('INVALID_REQUEST', /^cannot read the rules \(key "rules-file"\): /, 'rulesFile'),
    );
  });
});
