import { setImmediate } from 'node:timers/promises';
import { OpusDecoder } from 'opus-decoder';
import { MeshError } from '#mesh/errors.ts';
import type { Recording } from './recording.ts';

/** What a container holds of one Opus stream. */
export interface OpusStream {
  /** The identification header, "OpusHead…" (RFC 7845 §5.1). */
  readonly head: Buffer;
  readonly packets: readonly Buffer[];
  /** Samples at 48 kHz after the skipped start, where the container says; what comes after is padding. */
  readonly numSamples: number | null;
  /** Samples at 48 kHz at the end that the container calls padding. */
  readonly numPaddingSamples: number;
}

interface OpusHead {
  readonly channels: number;
  readonly preSkip: number;
  readonly gain: number;
  readonly streamCount: number;
  readonly coupledStreamCount: number;
  readonly channelMappingTable: number[];
}

export const OPUS_MAGIC = 'OpusHead';

/** Opus always decodes to this rate. */
const SAMPLE_RATE_HZ = 48_000;
const HEAD_BYTES = 19;
const MAX_CHANNELS = 8;
/** Output gain is in 1/256 dB. */
const GAIN_STEPS_PER_DB = 256;
/** Packets decoded in one go: two seconds of the usual 20 ms. */
const PACKETS_A_TURN = 100;

/** Decodes one Opus stream. */
export async function decodeOpus(
  stream: OpusStream,
  recording: Recording,
  signal: AbortSignal,
): Promise<void> {
  const { gain, ...layout } = readHead(stream.head);
  const decoder = new OpusDecoder({ ...layout, sampleRate: SAMPLE_RATE_HZ });
  await decoder.ready;
  try {
    for (let at = 0; at < stream.packets.length; at += PACKETS_A_TURN) {
      if (at > 0) await setImmediate(undefined, { signal });
      const packets = stream.packets.slice(at, at + PACKETS_A_TURN);
      const { channelData, errors } = decodePackets(decoder, packets);
      if (errors[0] !== undefined) throw damaged(errors[0].message);
      recording.append(amplified(channelData, gain), { sampleRateHz: SAMPLE_RATE_HZ });
    }
  } finally {
    decoder.free();
  }
  recording.trimTo(stream.numSamples ?? recording.numSamples - stream.numPaddingSamples);
}

function decodePackets(decoder: OpusDecoder<48000>, packets: Buffer[]) {
  try {
    return decoder.decodeFrames(packets);
  } catch (cause: unknown) {
    // A packet larger than Opus allows does not fit the decoder's memory.
    throw damaged(cause instanceof Error ? cause.message : String(cause));
  }
}

function readHead(head: Buffer): OpusHead {
  if (head.length < HEAD_BYTES || head.toString('latin1', 0, 8) !== OPUS_MAGIC) {
    throw damaged('it has no OpusHead');
  }
  const channels = head.readUInt8(9);
  const family = head.readUInt8(18);
  const maxChannels = family === 0 ? 2 : MAX_CHANNELS;
  if (channels < 1 || channels > maxChannels) {
    throw damaged(`${channels} channels in mapping family ${family}`);
  }
  const common = {
    channels,
    preSkip: head.readUInt16LE(10),
    gain: 10 ** (head.readInt16LE(16) / GAIN_STEPS_PER_DB / 20),
  };
  if (family === 0) {
    const channelMappingTable = channels === 2 ? [0, 1] : [0];
    return { ...common, streamCount: 1, coupledStreamCount: channels - 1, channelMappingTable };
  }
  if (head.length < HEAD_BYTES + 2 + channels) throw damaged('its channel mapping is cut short');
  return {
    ...common,
    streamCount: head.readUInt8(HEAD_BYTES),
    coupledStreamCount: head.readUInt8(HEAD_BYTES + 1),
    channelMappingTable: [...head.subarray(HEAD_BYTES + 2, HEAD_BYTES + 2 + channels)],
  };
}

function amplified(channels: Float32Array[], gain: number): Float32Array[] {
  return gain === 1 ? channels : channels.map((samples) => samples.map((value) => value * gain));
}

function damaged(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the Opus stream is damaged: ${why}`);
}
