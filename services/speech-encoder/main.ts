import { runEncoderMain } from '#encoder/encoder-main.ts';
import { speechEncoderOptions } from './options.ts';
import { speechRole } from './role.ts';

runEncoderMain({ role: 'speech-encoder', schema: speechEncoderOptions, createRole: speechRole });
