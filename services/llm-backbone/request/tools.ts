import type { ToolCallFormat, ToolUse } from '#backbone/output/tool-use.ts';
import { quoted } from '#mesh/client-text.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { readToolFunctions } from '#mesh/prompt/tool-function.ts';
import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';

export const TOOLS = 'prompt.chat.tools';

/**
 * Reads the tools of a request and how they are called; null if it has none. Throws INVALID_REQUEST
 * that names the tool at fault.
 */
export function readToolUse(
  { prompt, toolChoice }: Pick<GenerateStart, 'prompt' | 'toolChoice'>,
  format: ToolCallFormat | null,
): ToolUse | null {
  const tools = prompt?.form?.$case === 'chat' ? prompt.form.value.tools : [];
  if (tools.length === 0) {
    if (toolChoice?.required !== true) return null;
    throw refusal('tool_choice', 'a call is demanded, and there are no tools');
  }
  if (format === null) {
    throw refusal(
      TOOLS,
      "the model's chat template does not say how calls are written; start the model with --tool-call-parser, or ask without tools",
    );
  }
  const functions = readToolFunctions(
    tools.map(({ functionJson: json }, i) => {
      const at = `${TOOLS}[${i}].function_json`;
      return { value: parsed(json, at), json, at };
    }),
  );
  const { name, singleCall = false, allowedNames = [] } = toolChoice ?? {};
  const names = functions.map((one) => one.name);
  if (name !== undefined && allowedNames.length > 0) {
    throw refusal('tool_choice.allowed_names', 'cannot be combined with a name');
  }
  const callable = name === undefined ? allowedNames : [name];
  const stranger = callable.find((one) => !names.includes(one));
  if (stranger !== undefined) {
    const field = name === undefined ? 'allowed_names' : 'name';
    throw refusal(`tool_choice.${field}`, `there is no tool of the name ${quoted(stranger)}`);
  }
  return {
    format,
    functions: new Map(functions.map((one) => [one.name, one])),
    singleCall: singleCall || name !== undefined,
    callable: callable.length === 0 ? names : callable,
  };
}

function parsed(json: string, at: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause: unknown) {
    throw refusal(at, `not JSON: ${errorMessage(cause)}`);
  }
}

function refusal(param: string, problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${param}: ${problem}`, { param });
}
