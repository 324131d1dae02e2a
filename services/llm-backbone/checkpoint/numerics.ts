import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackboneOptions } from '#backbone/options.ts';
import type { DecoderDescription, DecoderOptions } from '#native';
import type { Numerics } from '#protos/autoglm/mesh/v1/instance.ts';
import type { ModelFiles } from './model-files.ts';

/**
 * Returns the type of the activations: that of the weights, except that float16 weights compute in
 * float32, because GLM-4's residuals overflow float16. The KV cache has the type of the
 * activations.
 */
export function activationDtype(
  { dtype }: Pick<BackboneOptions, 'dtype'>,
  files: Pick<ModelFiles, 'dtype'>,
): DecoderOptions['activationDtype'] {
  const stored = dtype === 'auto' ? files.dtype : dtype;
  return stored === 'bfloat16' ? 'bfloat16' : 'float32';
}

/** Reads the settings that, if equal, give two backbones with the same weights the same bits. */
export async function readNumerics(
  options: Pick<BackboneOptions, 'model' | 'dtype'>,
  decoder: { readonly description: DecoderDescription; readonly isa: string },
  files: ModelFiles,
): Promise<Numerics> {
  return {
    isa: decoder.isa,
    weightDtype: decoder.description.weightDtype,
    kvDtype: activationDtype(options, files),
    quantization: '',
    numRanks: 1,
    tokenizerHash: sha256(await readFile(join(options.model, 'tokenizer.json'))),
    templateHash: files.chatTemplate === null ? '' : sha256(files.chatTemplate.text),
  };
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
