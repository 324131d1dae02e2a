import type { ToolCallFormat, ToolUse } from '#backbone/output/tool-use.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { readToolFunctions } from '#mesh/prompt/tool-function.ts';
import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';

const TOOLS = 'prompt.chat.tools';

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
  if (toolChoice?.required === true) {
    throw refusal(
      'tool_choice',
      'calls cannot be enforced by this server; only "auto" and "none" are accepted',
    );
  }
  return {
    format,
    functions: new Map(functions.map((one) => [one.name, one])),
    singleCall: toolChoice?.singleCall ?? false,
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
