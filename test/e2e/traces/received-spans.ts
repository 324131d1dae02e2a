import type { MeshInstance } from '#test/e2e/mesh.ts';
import type { ReceivedSpan } from '#test/otlp/otlp-collector.ts';

/** Tells whether a span is that of a request for a chat. */
export const isRoot = ({ name }: ReceivedSpan) => name === 'POST /v1/chat/completions';

/** Tells whether a span is what a backbone answered. */
export const isGenerate = ({ service, name }: ReceivedSpan) =>
  service === 'llm-backbone' && name === 'Generate';

/** Tells whether a span is the backbone's part of a call to an encoder. */
export const isEncodeCall = ({ service, name }: ReceivedSpan) =>
  service === 'llm-backbone' && name === 'Encode';

export const portOf = ({ address }: MeshInstance) =>
  Number(address.slice(address.lastIndexOf(':') + 1));
