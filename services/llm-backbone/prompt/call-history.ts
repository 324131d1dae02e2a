import type { TemplateMessage } from './template-message.ts';

/**
 * How a template shows earlier calls of tools and their results: as OpenAI's messages, as GLM-4's own
 * (a message of the assistant with the name as `metadata`, one of the role observation), or not at
 * all.
 */
export type CallHistory = 'messages' | 'observations' | 'none';

export function callHistoryOf(template: string): CallHistory {
  if (template.includes('tool_calls')) return 'messages';
  const hasObservations = /["']observation["']/.test(template) && template.includes('metadata');
  return hasObservations ? 'observations' : 'none';
}

/** Tells whether a message calls a tool, or is the result of a call. */
export function isOfCalls({ role, toolCalls = [] }: TemplateMessage): boolean {
  return role === 'tool' || toolCalls.length > 0;
}

/** Returns a message as GLM-4's templates take it: each call becomes a message of its own. */
export function asObservations(message: TemplateMessage): TemplateMessage[] {
  if (message.role === 'tool') return [{ ...message, role: 'observation' }];
  const { toolCalls = [], ...said } = message;
  const calls = toolCalls.map(({ name, arguments: given }) => ({
    role: message.role,
    content: given,
    metadata: name,
  }));
  return said.content.length === 0 && calls.length > 0 ? calls : [said, ...calls];
}
