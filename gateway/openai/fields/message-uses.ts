import { each, HONOURED, harmless, honouredObject } from './field-use.ts';

/** Marks of what a cache of prompts may keep. */
export const NO_MARKS = harmless('prompts are cached without marks');

/** Fields of a message; the check of messages judges their values. */
export const MESSAGE_USES = {
  content: honouredObject({
    ...each(HONOURED, 'type', 'text', 'refusal'),
    image_url: honouredObject({
      url: HONOURED,
      detail: harmless('the size of an image is that of mm_processor_kwargs'),
      format: harmless('the first bytes of an image say its type'),
    }),
    audio_url: honouredObject({ url: HONOURED }),
    input_audio: honouredObject({ data: HONOURED, format: HONOURED }),
    ...each(NO_MARKS, 'uuid', 'cache_control', 'prompt_cache_breakpoint'),
    ...each(harmless('it comes back with an answer and is not read'), 'id', 'annotations'),
    ...each(
      harmless('it belongs to types of parts that are refused'),
      'thinking',
      'signature',
      'image',
      'video_url',
      'file',
    ),
    ...each(
      harmless('the size of an image is that of mm_processor_kwargs'),
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
  cache_control: NO_MARKS,
  ...each(
    harmless('clients send a whole answer back as a message; this is no part of the prompt'),
    'refusal',
    'annotations',
    'audio',
    'id',
    'type',
    'status',
    'parsed',
    'tools',
    'reasoning_details',
    'provider_specific_fields',
    'thinking_blocks',
    'images',
    'prefix',
  ),
} as const;
