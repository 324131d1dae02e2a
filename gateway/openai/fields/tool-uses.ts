import {
  alias,
  EMPTY,
  each,
  HONOURED,
  harmless,
  honouredObject,
  refused,
  refusedUnless,
} from './field-use.ts';

const NO_TOOLS = 'tools are called in /v1/chat/completions';

/** Tools of a chat, which `/tokenize` takes too. */
export const TOOL_LIST_USES = {
  tools: honouredObject({
    type: HONOURED,
    function: honouredObject(each(HONOURED, 'name', 'description', 'parameters', 'strict')),
    cache_control: harmless('prompts are cached without marks'),
    custom: refused('custom tools are not supported; describe the arguments of a function'),
  }),
} as const;

/** Fields of a chat that say which tools there are and how they are called. */
export const TOOL_USES = {
  ...TOOL_LIST_USES,
  tool_choice: HONOURED,
  parallel_tool_calls: HONOURED,
  functions: alias('tools', EMPTY),
  function_call: alias('tool_choice', 'none'),
  parse_tool_calls: refusedUnless(
    (value, { tools }) => value === true || (value === false && tools === undefined),
    'calls are always told apart from the answer; only true is accepted',
  ),
} as const;

/** The same fields where there is no conversation. */
export const NO_TOOL_USES = {
  ...each(refused(NO_TOOLS, EMPTY), 'tools', 'functions'),
  ...each(
    refused(`${NO_TOOLS}; only "none" is accepted here`, 'none'),
    'tool_choice',
    'function_call',
  ),
  parallel_tool_calls: harmless('there are no calls'),
  parse_tool_calls: refused(NO_TOOLS, false),
} as const;
