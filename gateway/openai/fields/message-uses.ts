import { each, HARMLESS, HONOURED, honouredObject } from './field-use.ts';

/** Fields of a message; the check of messages judges their values. */
export const MESSAGE_USES = {
  content: honouredObject({
    ...each(HONOURED, 'type', 'text', 'refusal'),
    image_url: honouredObject({ url: HONOURED, detail: HARMLESS, format: HARMLESS }),
    audio_url: honouredObject({ url: HONOURED }),
    input_audio: honouredObject({ data: HONOURED, format: HONOURED }),
    // They are judged with the type of the part, or have no effect on it.
    ...each(
      HARMLESS,
      'uuid',
      'cache_control',
      'prompt_cache_breakpoint',
      'id',
      'annotations',
      'thinking',
      'signature',
      'image',
      'video_url',
      'file',
      'min_pixels',
      'max_pixels',
    ),
  }),
  ...each(
    HONOURED,
    'role',
    'name',
    'metadata',
    'tool_calls',
    'tool_call_id',
    'function_call',
    'reasoning_content',
    'reasoning',
  ),
  // Clients send a whole answer back as the next request's message.
  ...each(
    HARMLESS,
    'refusal',
    'annotations',
    'audio',
    'id',
    'type',
    'status',
    'parsed',
    'tools',
    'cache_control',
    'reasoning_details',
    'provider_specific_fields',
    'thinking_blocks',
    'images',
    'prefix',
  ),
} as const;
