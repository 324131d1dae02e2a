import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OutputPiece } from '#backbone/output/output-stage.ts';
import { callStage, formatOf, type ToolCallFormat } from '#backbone/output/tool-use.ts';
import type { ToolFunction } from '#mesh/prompt/tool-function.ts';
import { seededRandom } from '#test/seeded-random.ts';

const FUNCTIONS: readonly ToolFunction[] = [
  {
    name: 'tap',
    isStrict: false,
    parameters: {
      type: 'object',
      properties: {
        x: { type: 'integer' },
        y: { type: ['number', 'null'] },
        on: { $ref: '#/$defs/switch' },
        label: { type: 'string' },
        side: { enum: ['1', '2'] },
        either: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
        points: { type: 'array', items: { type: 'object' } },
      },
      $defs: { switch: { type: 'boolean' } },
    },
  },
  { name: 'home', parameters: null, isStrict: false },
  { name: 'home_screen', parameters: null, isStrict: false },
];

/** What an answer amounts to: its text, its thoughts and its calls, each as `name arguments`. */
interface Parsed {
  readonly content: string;
  readonly calls: readonly string[];
  readonly isEnded: boolean;
}

/** Feeds the pieces of an answer to the stage of a format. */
function parse(
  format: ToolCallFormat,
  texts: readonly string[],
  { singleCall = false } = {},
): Parsed {
  const functions = new Map(FUNCTIONS.map((one) => [one.name, one]));
  const stage = callStage({ format, functions, singleCall });
  const calls: string[] = [];
  let content = '';
  const emit = (piece: OutputPiece) => {
    if (piece.channel !== 'tool_call') {
      assert.notEqual(piece.text, '');
      content += piece.text;
      return;
    }
    const { index, name } = piece.call;
    // Calls come one behind the other, and the name with the first piece alone.
    if (name !== undefined) assert.equal(calls.push(`${name} `) - 1, index);
    assert.equal(index, calls.length - 1);
    if (name === undefined) assert.notEqual(piece.text, '');
    calls[index] += piece.text;
  };
  for (const text of texts) stage.push({ channel: 'content', text }, emit);
  stage.flush(emit);
  return { content, calls, isEnded: (stage.end ?? null) !== null };
}

/** Asserts what an answer amounts to, cut at every place, at every character and at random. */
function assertParsed(format: ToolCallFormat, text: string, expected: Partial<Parsed>): void {
  const wanted = { content: '', calls: [], isEnded: false, ...expected };
  const characters = [...text];
  assert.deepEqual(parse(format, [text]), wanted, 'whole');
  assert.deepEqual(parse(format, characters), wanted, 'by character');
  for (let cut = 1; cut < characters.length; cut++) {
    const parts = [characters.slice(0, cut).join(''), characters.slice(cut).join('')];
    assert.deepEqual(parse(format, parts), wanted, `cut at ${cut}`);
  }
  const random = seededRandom(17);
  for (let round = 0; round < 50; round++) {
    const parts: string[] = [];
    for (let from = 0; from < characters.length; ) {
      const length = 1 + Math.floor(random() * 12);
      parts.push(characters.slice(from, from + length).join(''));
      from += length;
    }
    assert.deepEqual(parse(format, parts), wanted, `cut as ${JSON.stringify(parts)}`);
  }
}

interface Case extends Partial<Parsed> {
  readonly what: string;
  readonly text: string;
}

const pair = (key: string, value: string) =>
  `<arg_key>${key}</arg_key>\n<arg_value>${value}</arg_value>\n`;

const CASES: Readonly<Record<ToolCallFormat, readonly Case[]>> = {
  glm45: [
    { what: 'an answer without calls', text: ' Hi <b> \n', content: ' Hi <b> \n' },
    {
      what: 'a call without arguments',
      text: '\n<tool_call>home\n</tool_call>',
      calls: ['home {}'],
    },
    {
      what: 'text in front of a call, without the white space between them',
      text: 'I tap.\n\n<tool_call>home\n</tool_call>\n',
      content: 'I tap.',
      calls: ['home {}'],
    },
    {
      what: 'several calls and text between them',
      text: `<tool_call>tap\n${pair('x', '1')}</tool_call>\n<tool_call>home\n</tool_call>\nso\n<tool_call>home</tool_call>`,
      content: '\nso',
      calls: ['tap {"x":1}', 'home {}', 'home {}'],
    },
    {
      what: 'values of the types that the schema gives',
      text: `<tool_call>tap\n${pair('x', ' 12 ')}${pair('y', 'null')}${pair('on', 'True')}${pair('label', '7')}${pair('side', '1')}${pair('either', '5')}${pair('points', '[{"a": "]"}]')}</tool_call>`,
      calls: [
        'tap {"x":12,"y":null,"on":true,"label":"7","side":"1","either":5,"points":[{"a": "]"}]}',
      ],
    },
    {
      what: 'texts as they are written, tags and quotes included',
      text: `<tool_call>tap\n${pair('label', ' a "b"\n</arg_key> 😀 <arg_val </tool_call> ')}${pair('either', '"q"')}</tool_call>`,
      calls: [
        `tap {"label":${JSON.stringify(' a "b"\n</arg_key> 😀 <arg_val </tool_call> ')},"either":"\\"q\\""}`,
      ],
    },
    {
      what: 'values of arguments that no schema knows',
      text: `<tool_call>other\n${pair('n', '1.50')}${pair('s', 'word')}${pair('l', '[1, 2]')}${pair('e', '{\\"a\\":1}')}${pair('d', "{'a': 1}")}</tool_call>`,
      calls: [`other {"n":1.50,"s":"word","l":[1, 2],"e":{"a":1},"d":"{'a': 1}"}`],
    },
    {
      what: 'a value that is not of its type as a text',
      text: `<tool_call>tap\n${pair('x', 'left')}</tool_call>`,
      calls: ['tap {"x":"left"}'],
    },
    {
      what: 'the form without newlines',
      text: '<tool_call>tap<arg_key>x</arg_key><arg_value>1</arg_value></tool_call>',
      calls: ['tap {"x":1}'],
    },
    {
      what: 'the form with an escaped newline, and one in front of the name',
      text: '<tool_call>\ntap\\n<arg_key>x</arg_key>\\n<arg_value>1</arg_value></tool_call>',
      calls: ['tap {"x":1}'],
    },
    {
      what: 'a key without a value as none',
      text: `<tool_call>tap\n<arg_key>y</arg_key>${pair('x', '1')}</tool_call>`,
      calls: ['tap {"x":1}'],
    },
    {
      what: 'a call without a name as content',
      text: 'a <tool_call> \n</tool_call> b',
      content: 'a <tool_call> \n</tool_call> b',
    },
    {
      what: 'a call behind one without a name',
      text: '<tool_call></tool_call><tool_call>home\n</tool_call>',
      content: '<tool_call></tool_call>',
      calls: ['home {}'],
    },
    {
      what: 'a call that ends in its name as content',
      text: 'a <tool_call>ho',
      content: 'a <tool_call>ho',
    },
    {
      what: 'a call that ends in a text with what has come of it',
      text: '<tool_call>tap\n<arg_key>label</arg_key>\n<arg_value>so </arg',
      calls: ['tap {"label":"so </arg'],
    },
    {
      what: 'a call that ends in a number without it',
      text: `<tool_call>tap\n${pair('label', 'a')}<arg_key>x</arg_key>\n<arg_value>12`,
      calls: ['tap {"label":"a","x":'],
    },
    {
      what: 'a call that ends behind an argument as not complete',
      text: `<tool_call>tap\n${pair('x', '1')}`,
      calls: ['tap {"x":1'],
    },
    { what: 'what only begins like a tag', text: 'a <tool_cal', content: 'a <tool_cal' },
  ],
  hermes: [
    {
      what: 'an answer without calls',
      text: '{"name": "tap"} <\n',
      content: '{"name": "tap"} <\n',
    },
    {
      what: 'a call, its arguments as they are written',
      text: '<tool_call>\n{"name": "tap", "arguments": {"x": 1.0, "label": "a}\\"]</tool_call>"}}\n</tool_call>',
      calls: ['tap {"x": 1.0, "label": "a}\\"]</tool_call>"}'],
    },
    {
      what: 'text and several calls',
      text: 'I look.\n<tool_call>{"name":"home","arguments":{}}</tool_call>\n<tool_call>{"name":"tap","parameters":{"x":[1,{"a":2}]}}</tool_call>\n',
      content: 'I look.',
      calls: ['home {}', 'tap {"x":[1,{"a":2}]}'],
    },
    {
      what: 'arguments in front of the name, and members that nobody knows',
      text: '<tool_call>{"id": 7, "arguments" : {"x": 1}, "t": [null, "}"], "name" :"tap"}</tool_call>',
      calls: ['tap {"x": 1}'],
    },
    {
      what: 'arguments written as a text, as null and not at all',
      text: '<tool_call>{"name":"a","arguments":"{\\"x\\":1}"}</tool_call><tool_call>{"name":"b","arguments":null}</tool_call><tool_call>{"name":"c"}</tool_call>',
      calls: ['a {"x":1}', 'b {}', 'c {}'],
    },
    {
      what: 'a brace too many as nothing',
      text: '<tool_call>{"name":"a","arguments":{"x":1}}}</tool_call>so',
      content: 'so',
      calls: ['a {"x":1}'],
    },
    {
      what: 'what is no JSON, or has no name, as content',
      text: '<tool_call>tap x</tool_call> <tool_call>{"arguments":{}}</tool_call> <tool_call>{"name":7}</tool_call>',
      content:
        '<tool_call>tap x</tool_call> <tool_call>{"arguments":{}}</tool_call> <tool_call>{"name":7}</tool_call>',
    },
    {
      what: 'a call that ends in its arguments as not complete',
      text: '<tool_call>{"name": "tap", "arguments": {"x": 1, "label": "a',
      calls: ['tap {"x": 1, "label": "a'],
    },
    {
      what: 'a call that ends in its name as content',
      text: '<tool_call>{"name": "ta',
      content: '<tool_call>{"name": "ta',
    },
  ],
  glm4: [
    {
      what: 'an answer without calls',
      text: '\nHi.\nhome\n is it\n',
      content: '\nHi.\nhome\n is it\n',
    },
    { what: 'a call', text: 'tap\n{"x": 1, "label": "}"}', calls: ['tap {"x": 1, "label": "}"}'] },
    {
      what: 'a call behind a newline and text',
      text: '\nI go home.\nhome\n{}\n',
      content: '\nI go home.',
      calls: ['home {}'],
    },
    {
      what: 'several calls, one below the other',
      text: 'home\n{}\nhome_screen \n {"a": {}}tap\n{"x":1}',
      calls: ['home {}', 'home_screen {"a": {}}', 'tap {"x":1}'],
    },
    {
      what: 'a call in a message of its own',
      text: '\nI tap.<|assistant|>tap\n{"x":1}<|assistant|>home\n{}',
      content: '\nI tap.',
      calls: ['tap {"x":1}', 'home {}'],
    },
    {
      what: 'a name in the middle of a line as content',
      text: 'so tap\n{"x":1}',
      content: 'so tap\n{"x":1}',
    },
    {
      what: 'JSON below the name of no tool as content',
      text: 'click\n{"x":1}',
      content: 'click\n{"x":1}',
    },
    { what: 'a name alone as content', text: 'home', content: 'home' },
    { what: 'a name and a newline alone as content', text: 'home\n', content: 'home\n' },
    {
      what: 'a call that ends in its arguments as not complete',
      text: 'tap\n{"x": 1, "la',
      calls: ['tap {"x": 1, "la'],
    },
    {
      what: 'text behind a call',
      text: 'home\n{}\nDone.',
      content: '\nDone.',
      calls: ['home {}'],
    },
  ],
};

for (const [format, cases] of Object.entries(CASES)) {
  describe(`Calls in the format ${format}`, () => {
    for (const { what, text, ...expected } of cases) {
      it(`are read as ${what}, however the text is cut`, () => {
        assertParsed(format as ToolCallFormat, text, expected);
      });
    }
  });
}

describe('A single call', () => {
  const TEXTS: Readonly<Record<ToolCallFormat, string>> = {
    glm45: 'a\n<tool_call>home\n</tool_call><tool_call>tap\n</tool_call>b',
    hermes: 'a <tool_call>{"name":"home"}</tool_call><tool_call>{"name":"tap"}</tool_call>b',
    glm4: 'a\nhome\n{}\ntap\n{}b',
  };
  for (const [format, text] of Object.entries(TEXTS)) {
    it(`ends the answer in the format ${format}`, () => {
      for (const pieces of [[text], [...text]]) {
        const parsed = parse(format as ToolCallFormat, pieces, { singleCall: true });

        assert.deepEqual(parsed, { content: 'a', calls: ['home {}'], isEnded: true });
      }
    });
  }
});

describe('The arguments of a call', () => {
  const STREAMED: Readonly<Record<ToolCallFormat, readonly [start: string, text: string]>> = {
    glm45: ['<tool_call>tap\n<arg_key>label</arg_key><arg_value>', 'open the door'],
    hermes: ['<tool_call>{"name":"tap","arguments":', '{"label":"open'],
    glm4: ['tap\n', '{"label":"open'],
  };
  for (const [format, [start, text]] of Object.entries(STREAMED)) {
    it(`are emitted while they come in the format ${format}`, () => {
      const functions = new Map(FUNCTIONS.map((one) => [one.name, one]));
      const stage = callStage({ format: format as ToolCallFormat, functions, singleCall: false });
      stage.push({ channel: 'content', text: start }, () => {});

      for (const character of text) {
        const pieces: OutputPiece[] = [];
        stage.push({ channel: 'content', text: character }, (piece) => pieces.push(piece));
        assert.equal(pieces.map((piece) => piece.text).join(''), character);
      }
    });
  }

  it('leave thoughts alone', () => {
    const thought: OutputPiece = { channel: 'reasoning', text: '<tool_call>home\n</tool_call>' };
    const stage = callStage({ format: 'glm45', functions: new Map(), singleCall: false });
    const pieces: OutputPiece[] = [];

    stage.push(thought, (piece) => pieces.push(piece));

    assert.deepEqual(pieces, [thought]);
  });
});

describe('The format of calls', () => {
  const TEMPLATES: readonly (readonly [string, ToolCallFormat | null])[] = [
    ['{% for t in tools %}{{ t | tojson }}{% endfor %}<tool_call>{name}\n<arg_key>', 'glm45'],
    ['{% for t in tools %}{{ t | tojson }}{% endfor %}<tool_call>\n{"name"', 'hermes'],
    ['{% for t in tools %}{{ t.function }}{% endfor %}<|observation|>', 'glm4'],
    ['{% for m in messages %}<|observation|>{{ m.content }}{% endfor %}', null],
    ['{% for m in messages %}{{ m.content }}{% endfor %}', null],
  ];
  for (const [template, format] of TEMPLATES) {
    it(`of the template ${JSON.stringify(template)} is ${format ?? 'not known'}`, () => {
      assert.equal(formatOf(template), format);
    });
  }
});
