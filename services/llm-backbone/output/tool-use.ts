import type { ToolFunction } from '#mesh/prompt/tool-function.ts';
import { ArgumentPairs, PAIR_TAGS } from './argument-pairs.ts';
import { CallWriter } from './call-writer.ts';
import { JsonCall } from './json-call.ts';
import { NamedCalls } from './named-calls.ts';
import type { OutputStage } from './output-stage.ts';
import { TaggedCalls } from './tagged-calls.ts';

/** How a model writes a call of a tool. */
export type ToolCallFormat = 'glm4' | 'glm45' | 'hermes';

/** The tools that an answer may call. */
export interface ToolUse {
  readonly format: ToolCallFormat;
  readonly functions: ReadonlyMap<string, ToolFunction>;
  /** Ends the answer after its first call. */
  readonly singleCall: boolean;
  /** Names of the tools that may be called. */
  readonly callable: readonly string[];
}

/** Returns how the models of a chat template write calls; null if the template shows no tools. */
export function formatOf(template: string): ToolCallFormat | null {
  if (template.includes('<arg_key>')) return 'glm45';
  if (template.includes('<tool_call>')) return 'hermes';
  return /\btools\b/.test(template) && template.includes('<|observation|>') ? 'glm4' : null;
}

/** Makes the stage that separates calls from the content. */
export function callStage({
  format,
  functions,
  singleCall,
}: Omit<ToolUse, 'callable'>): OutputStage {
  const writer = new CallWriter({ singleCall });
  switch (format) {
    case 'glm4':
      return new NamedCalls(writer, functions.keys());
    case 'glm45': {
      const createReader = () => new ArgumentPairs(writer, functions);
      return new TaggedCalls({ writer, createReader, innerTags: PAIR_TAGS });
    }
    case 'hermes':
      return new TaggedCalls({ writer, createReader: () => new JsonCall(writer), innerTags: [] });
  }
}
