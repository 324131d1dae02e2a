import {
  chars,
  choice,
  type GrammarNode,
  type GrammarRules,
  optional,
  otherChars,
  repeat,
  sequence,
  text,
} from './grammar-node.ts';

/** What an action of Open-AutoGLM takes beside its name. */
const ACTIONS: Readonly<Record<string, readonly (readonly [name: string, value: GrammarNode])[]>> =
  actions();

function actions() {
  // Coordinates are thousandths of the screen's width and height.
  const number = choice(
    text('0'),
    sequence(chars([0x31, 0x39]), repeat(chars([0x30, 0x39]), 0, 2)),
  );
  const point = sequence(text('['), number, text(','), optional(text(' ')), number, text(']'));
  // The agent reads up to the last two characters, so a quote within a text needs an escape.
  const letter = choice(
    chars(
      ...otherChars([
        [0, 0x1f],
        [0x22, 0x22],
        [0x5c, 0x5c],
        [0x7f, 0x9f],
      ]),
    ),
    sequence(text('\\'), chars([0x22, 0x22], [0x5c, 0x5c], [0x6e, 0x6e])),
  );
  const string = sequence(text('"'), repeat(letter, 0), text('"'));
  const words = sequence(text('"'), repeat(letter, 1), text('"'));
  const seconds = sequence(
    text('"'),
    chars([0x31, 0x39]),
    optional(chars([0x30, 0x39])),
    text(' seconds"'),
  );
  return {
    Launch: [['app', words]],
    Tap: [['element', point]],
    'Double Tap': [['element', point]],
    'Long Press': [['element', point]],
    Swipe: [
      ['start', point],
      ['end', point],
    ],
    Type: [['text', string]],
    Type_Name: [['text', string]],
    Back: [],
    Home: [],
    Wait: [['duration', seconds]],
    Take_over: [['message', words]],
    Note: [['message', words]],
    Call_API: [['instruction', words]],
    Interact: [],
  } satisfies typeof ACTIONS;
}

/** Returns the grammar of one action of the phone agent. */
export function phoneActionRules(): GrammarRules {
  const separator = sequence(text(','), optional(text(' ')));
  const argument = ([name, value]: readonly [string, GrammarNode]) =>
    sequence(separator, text(`${name}=`), value);
  const [[, words] = ['', text('')]] = ACTIONS['Note'] ?? [];
  const made = Object.entries(ACTIONS).map(([name, list]) =>
    sequence(
      text(`"${name}"`),
      ...list.map(argument),
      ...(name === 'Tap' ? [optional(argument(['message', words]))] : []),
    ),
  );
  const action = choice(
    sequence(text('do(action='), choice(...made), text(')')),
    sequence(text('finish(message='), words, text(')')),
  );
  // The prompts of the agent ask for the tag; its end is a stop token of the models.
  return {
    root: sequence(optional(text('\n')), optional(text('<answer>')), action),
    rules: new Map(),
  };
}
