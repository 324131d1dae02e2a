import type { ItemReader, OpenedItem } from '#encoder/media-reader.ts';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { openedRecording } from './opened-recording.ts';
import { frameBytes, type PcmFormat, readPcm } from './pcm.ts';
import type { Recording } from './recording.ts';
import { recordingItem } from './recording-item.ts';

const MEDIA_TYPE = 'audio/l16';
const MAX_CHANNELS = 32;

/**
 * Reads "audio/L16;rate=16000;channels=1", raw 16-bit PCM, or null for another media type. Unlike
 * RFC 2586 samples are little-endian, as recorders give them.
 */
export function parseLivePcm(mediaType: string): PcmFormat | null {
  const [type, ...parameters] = mediaType.split(';').map((part) => part.trim().toLowerCase());
  if (type !== MEDIA_TYPE) return null;
  const values = new Map(
    parameters.map((parameter): [string, number] => {
      const [name, value] = parameter.split('=');
      return [name ?? '', Number(value)];
    }),
  );
  const sampleRateHz = values.get('rate') ?? Number.NaN;
  const numChannels = values.get('channels') ?? 1;
  const isPossible =
    Number.isInteger(sampleRateHz) &&
    Number.isInteger(numChannels) &&
    numChannels >= 1 &&
    numChannels <= MAX_CHANNELS;
  if (isPossible) return { sampleType: 'int16', sampleRateHz, numChannels };
  const message = `media type ${quoted(mediaType)}: say the rate, as in "audio/L16;rate=16000"`;
  throw new MeshError('UNSUPPORTED_MEDIA', message, { param: 'media_type' });
}

/** Decodes a recording while it is being made, chunk by chunk. */
export class LivePcmReader implements ItemReader {
  readonly variant: string;
  readonly #format: PcmFormat;
  readonly #recording: Recording;
  /** The start of a frame whose end is in the next chunk. */
  #rest = Buffer.alloc(0);

  constructor(format: PcmFormat, recording: Recording) {
    // The same bytes at another rate are another sound.
    this.variant = `L16 ${format.sampleRateHz} ${format.numChannels}`;
    this.#format = format;
    this.#recording = recording;
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.concat([this.#rest, chunk]);
    const wholeBytes = bytes.length - (bytes.length % frameBytes(this.#format));
    this.#rest = bytes.subarray(wholeBytes);
    this.#recording.append(readPcm(bytes.subarray(0, wholeBytes), this.#format), this.#format);
  }

  async open(): Promise<OpenedItem> {
    return recordingItem(openedRecording(this.#recording));
  }
}
