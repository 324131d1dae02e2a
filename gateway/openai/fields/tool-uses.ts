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
import { NO_MARKS } from './message-uses.ts';

const NO_TOOLS = 'tools are called in /v1/chat/completions';

/** Tools of a chat, which `/tokenize` takes too. */
export const TOOL_LIST_USES = {
  tools: honouredObject({
    type: HONOURED,
    function: honouredObject(each(HONOURED, 'name', 'description', 'parameters', 'strict')),
    cache_control: NO_MARKS,
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

const isCalledDirectly = (value: unknown) =>
  Array.isArray(value) && value.every((one) => one === 'direct');

/** Fields of a tool that only APIs have which are read like a chat. */
export const TRANSLATED_TOOL_USES = {
  defer_loading: harmless('every tool is in the prompt'),
  allowed_callers: refusedUnless(
    isCalledDirectly,
    'tools are called by the client; only ["direct"] is accepted',
  ),
} as const;

/** Fields of tools that those APIs run on servers of their own. */
export const FOREIGN_TOOL = harmless('it belongs to types of tools that are refused');

/** The fields of a chat where there is no conversation. */
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
