import { runEncoderMain } from '#encoder/encoder-main.ts';
import { visionEncoderOptions } from './options.ts';
import { visionRole } from './role.ts';

runEncoderMain({ role: 'vision-encoder', schema: visionEncoderOptions, createRole: visionRole });
