import { pino } from 'pino';
import { startEncoderProcess } from '#encoder/encoder-process.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { resolveOptions } from '#mesh/options.ts';
import { cpuFeatures, loadEncoder } from '#native';
import { speechEncoderOptions } from '#speech/options.ts';
import { speechRole } from '#speech/role.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { visionRole } from '#vision/role.ts';
import type { Arithmetic } from './decoder-parity.ts';

/** Encoder services of one checkpoint in this process. */
export interface RunningEncoders {
  readonly visionEncoder: readonly string[];
  readonly speechEncoder: readonly string[];
  readonly count: number;
  close(): Promise<void>;
}

/** Starts an encoder for each modality, over real towers in the given arithmetic. */
export async function startEncoders(
  directory: string,
  modalities: readonly MediaModality[],
  { activationDtype }: Arithmetic,
): Promise<RunningEncoders> {
  const values = { model: directory, listen: '127.0.0.1:0', device: 'cpu' };
  const load: typeof loadEncoder = (options) => loadEncoder({ ...options, activationDtype });
  const engine = { load, device: 'cpu', isa: cpuFeatures().isa };
  const parts = { engine, log: pino({ level: 'warn' }) };
  const started = await Promise.all(
    modalities.map((modality) => {
      if (modality === 'image') {
        const options = resolveOptions(visionEncoderOptions, values, {});
        return startEncoderProcess(visionRole(options), options, parts);
      }
      const options = resolveOptions(speechEncoderOptions, values, {});
      return startEncoderProcess(speechRole(options), options, parts);
    }),
  );
  const addresses = (wanted: MediaModality) =>
    started.flatMap(({ address }, i) => (modalities[i] === wanted ? [address] : []));
  return {
    visionEncoder: addresses('image'),
    speechEncoder: addresses('audio'),
    count: started.length,
    close: async () => {
      await Promise.all(started.map((encoder) => encoder.drain(0)));
    },
  };
}
