import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readJson } from '#backbone/template/read-json.ts';
import { Template } from '#backbone/template/template.ts';
import type { Text } from '#backbone/template/text.ts';
import { Dict, type Value } from '#backbone/template/value.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

interface Case {
  readonly template: string;
  /** What Jinja2 writes; absent if it raises. */
  readonly rendered?: string;
}

interface Cases {
  readonly now: string;
  /** JSON, in which 1 and 1.0 differ. */
  readonly values: string;
  readonly cases: readonly Case[];
}

const { now, values, cases } = readCases();

function readCases(): Cases {
  const path = join(PACKAGE_ROOT, 'test', 'testdata', 'jinja', 'cases.json');
  const parsed: Cases = JSON.parse(readFileSync(path, 'utf8'));
  return parsed;
}

const UNLIMITED = { maxChars: 1e6, deadlineMs: Number.POSITIVE_INFINITY, now: () => 0 };

function namesIn(json: string): ReadonlyMap<string, Value> {
  const dict = readJson(json, 'content');
  assert.ok(dict instanceof Dict);
  return new Map([...dict.entries].map(([name, { value }]) => [name, value]));
}

function render(template: string, names = namesIn(values)): Text {
  return new Template(template, () => new Date(now)).render(names, UNLIMITED);
}

/** Cuts a text where its origin changes: template pieces as they are, content as {piece}. */
function origins(text: Text): string {
  return text.spans
    .map(({ start, end, origin }) => {
      const piece = text.value.slice(start, end);
      return origin === 'template' ? piece : `{${piece}}`;
    })
    .join('');
}

/** Constructs that Jinja renders and that are refused when the template is read. */
const REFUSED: ReadonlyMap<string, RegExp> = new Map([
  ['{{ [1,2,3]|batch(2)|list }}', /filter "batch" is not supported/],
  ['{{ a|upper|safe|length }}', /filter "safe" is only supported at the end/],
  ['{{ [1,2.0,1e5 if false else 3.5,true,none]|tojson }}', /number "1e5" is not supported/],
  ['{{ 1e3 if false else 1 }}', /number "1e3" is not supported/],
  ['{{ 1e22 if false else 100000000000000000.0 }}', /number "1e22" is not supported/],
  ['{{ (1,) }}', /CloseParen/],
  ['{{ (1,2)+(3,) }}', /CloseParen/],
  ['{{ 1000000000000000000000 }}', /integer as large as 1e\+21 is not supported/],
  ['{{ 12345678901234567890 + 1 }}', /integer as large as/],
]);

describe('Template', () => {
  for (const { template, rendered } of cases) {
    const name = JSON.stringify(template);
    const refusal = REFUSED.get(template);
    if (refusal !== undefined) {
      it(`refuses ${name}`, () => {
        assert.throws(() => new Template(template), refusal);
      });
    } else if (rendered === undefined) {
      it(`raises where Jinja raises: ${name}`, () => {
        assert.throws(() => render(template), Error);
      });
    } else {
      it(`renders ${name} as Jinja`, () => {
        assert.equal(render(template).value, rendered);
      });
    }
  }

  const unsupported: readonly (readonly [string, RegExp])[] = [
    ['{{ s | wordwrap }}', /filter "wordwrap" is not supported/],
    ['{{ s | nope }}', /filter "nope" is unknown/],
    ['{{ l | map("nope") | list }}', /filter "nope" in map/],
    ['{{ l | select("nope") | list }}', /test "nope" is not supported/],
    ['{{ s is nope }}', /test "nope" is not supported/],
    ['{{ s is escaped }}', /test "escaped" is not supported/],
    ['{{ s.translate(d) }}', /method "translate" is not supported/],
    ['{{ s.encode() }}', /method "encode" is not supported/],
    ['{{ 1 < n < 9 }}', /comparison of a comparison/],
    ['{{ lipsum() }}', /global "lipsum" is not supported/],
    ['{{ strftime_now("%Q") }}', /strftime: "%Q" is not supported/],
    ['{% macro m() %}{{ varargs }}{% endmacro %}', /"varargs" in a macro is not supported/],
    ['{% set x | trim %}a{% endset %}', /assignment to a FilterExpression is not supported/],
    ['{% include "x" %}', /include/],
    ['{% for x in l recursive %}{% endfor %}', /./],
    ['{% raw %}{{ x }}{% endraw %}', /raw/],
  ];
  for (const [template, message] of unsupported) {
    it(`refuses ${JSON.stringify(template)} by name when it is read`, () => {
      assert.throws(() => new Template(template), message);
    });
  }
});

describe('the origin of a text', () => {
  const names = namesIn(
    JSON.stringify({ c: ' a<b>c ', t: 'x</think>y', d: { k: 'v' }, l: ['p', 'q'] }),
  );
  const kept: readonly (readonly [string, string])[] = [
    ['<{{ c }}>', '<{ a<b>c }>'],
    ['{{ c | trim }}!', '{a<b>c}!'],
    ['{{ c.strip().upper() }}!', '{A<B>C}!'],
    ["{{ t.split('</think>')[-1] }}</think>", '{y}</think>'],
    ["{{ t.split('</think>') | join('</think>') }}", '{x}</think>{y}'],
    ["{{ '<' ~ t[0:1] + '>' }}", '<{x}>'],
    ['{{ c | tojson }}', '"{ a<b>c }"'],
    ['{{ d | tojson }}', '{"{k}": "{v}"}'],
    ['{{ d }}', "{'{k}': '{v}'}"],
    ["{{ '<%s>' % t }}", '<{x</think>y}>'],
    ["{{ '<{}>'.format(t) }}", '<{x</think>y}>'],
    ["{{ c.replace('b', '<|user|>') }}", '{ a<}<|user|>{>c }'],
    ['{% set x %}<{{ c }}>{% endset %}{{ x | trim | indent }}', '<{ a<b>c }>'],
    ['{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(c) }}', '<{ a<b>c }>'],
    ['{% for x in l %}{{ loop.index }}{{ x }}{% endfor %}', '1{p}2{q}'],
    ['{{ l | map("upper") | join("-") }}', '{P}-{Q}'],
    ['{{ t[::-1] }}|', '{y>kniht/<x}|'],
    ['{% filter title %}ab {{ c }}{% endfilter %}', 'Ab { A<B>c }'],
  ];
  for (const [template, expected] of kept) {
    it(`is kept by ${JSON.stringify(template)}`, () => {
      assert.equal(origins(render(template, names)), expected);
    });
  }
});

describe('the limits of a rendering', () => {
  it('end it when its time is over', () => {
    let nowMs = 0;
    const limits = { maxChars: 1e6, deadlineMs: 100, now: () => nowMs++ };
    const nested = '{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}';

    assert.throws(() => new Template(nested).render(new Map(), limits), { limit: 'time' });
  });

  it('end it when a text grows too long', () => {
    const limits = { ...UNLIMITED, maxChars: 100 };
    const template = new Template("{% for a in range(1000) %}{{ 'ab' }}{% endfor %}");

    assert.throws(() => template.render(new Map(), limits), { limit: 'chars' });
  });

  it('bound texts that are multiplied', () => {
    assert.throws(() => render("{{ 'a' * 100000000 }}"), /too long/);
  });
});
