import {
  alias,
  each,
  type FieldTable,
  fieldTable,
  HONOURED,
  harmless,
  refused,
} from './field-use.ts';
import { CONVERSATION_USES } from './template-uses.ts';

const FLOATS = 'embeddings are float32 in little-endian order';

/** Fields of `POST /v1/embeddings`. */
export const EMBEDDING_USES: FieldTable = fieldTable({
  ...CONVERSATION_USES,
  ...each(
    HONOURED,
    'model',
    'input',
    'encoding_format',
    'dimensions',
    'pooling',
    'normalize',
    'truncate_prompt_tokens',
    'add_special_tokens',
    'priority',
    'request_id',
    'cache_salt',
  ),
  ...each(harmless('it names the asker'), 'user', 'metadata', 'safety_identifier'),
  use_activation: alias('normalize', true),
  embd_normalize: alias('normalize', 2),
  pooling_type: alias('pooling'),
  prompt: alias('input'),
  content: alias('input'),
  inputs: alias('input'),
  rid: alias('request_id'),
  embed_dtype: refused(`${FLOATS}; only "float32" is accepted`, 'float32'),
  endianness: refused(`${FLOATS}; only "native" and "little" are accepted`, 'native', 'little'),
  truncation_side: refused('the prompt is kept from its end; only "left" is accepted', 'left'),
  stream: refused('embeddings are not streamed', false),
  input_type: refused('the models here know no kinds of input; write it into the text'),
  lora_path: refused('adapters are not supported'),
});
