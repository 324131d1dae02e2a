import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackboneOptions } from '#backbone/options.ts';
import type { DecoderDescription } from '#native';
import type { Numerics } from '#protos/autoglm/mesh/v1/instance.ts';
import type { ModelFiles } from './model-files.ts';

/** Reads the settings that, if equal, give two backbones with the same weights the same bits. */
export async function readNumerics(
  options: Pick<BackboneOptions, 'model' | 'defaultStructuredOutput'>,
  decoder: {
    readonly description: DecoderDescription;
    readonly isa: string;
    readonly numRanks: number;
  },
  files: ModelFiles,
): Promise<Numerics> {
  const { defaultStructuredOutput: form } = options;
  return {
    isa: decoder.isa,
    weightDtype: decoder.description.weightDtype,
    kvDtype: decoder.description.kvCacheDtype,
    quantization: decoder.description.quantization,
    // Sums over more or fewer ranks have other bits.
    numRanks: decoder.numRanks,
    tokenizerHash: sha256(await readFile(join(options.model, 'tokenizer.json'))),
    templateHash: files.chatTemplate === null ? '' : sha256(files.chatTemplate.text),
    defaultForm: form === 'none' ? '' : form,
  };
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
