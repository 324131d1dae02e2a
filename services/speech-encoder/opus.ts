import { OpusDecoder } from 'opus-decoder';
import type { Turns } from '#mesh/async/turns.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Recording } from './recording.ts';

/**
 * One Opus stream as its container gives it: first the identification header, "OpusHead…"
 * (RFC 7845 §5.1), then every packet.
 */
export type OpusStream = AsyncGenerator<Buffer, OpusEnd, undefined>;

/** What a container says of a stream's length, in samples at 48 kHz. */
export interface OpusEnd {
  /** Samples after the skipped start, if the container says; what comes after is padding. */
  readonly numSamples: number | null;
  /** Samples at the end that the container calls padding. */
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
const FORMAT = { sampleRateHz: 48_000 } as const;
/** The shortest packet, 2.5 ms. */
const MIN_PACKET_SAMPLES = 120;
const HEAD_BYTES = 19;
const MAX_CHANNELS = 8;
/** Output gain is in 1/256 dB. */
const GAIN_STEPS_PER_DB = 256;

/** Decodes one Opus stream; its sound comes behind what the recording has. */
export async function decodeOpus(
  stream: OpusStream,
  recording: Recording,
  turns: Turns,
): Promise<void> {
  const start = recording.numSamples;
  const first = await stream.next();
  if (first.done === true) throw damaged('it has no OpusHead');
  const { gain, ...layout } = readHead(first.value);
  const decoder = new OpusDecoder({ ...layout, sampleRate: FORMAT.sampleRateHz });
  await decoder.ready;
  // Not freed: its memory goes with it, and a damaged packet may have left nothing in there to free.
  const end = await decodePackets(stream, recording, {
    decode: (packet) => amplified(decodePacket(decoder, packet), gain),
    turns,
  });
  const numSamples = end.numSamples ?? recording.numSamples - start - end.numPaddingSamples;
  recording.trimTo(start + Math.max(0, numSamples));
}

interface PacketDecoding {
  readonly decode: (packet: Buffer) => readonly Float32Array[];
  readonly turns: Turns;
}

async function decodePackets(
  stream: OpusStream,
  recording: Recording,
  { decode, turns }: PacketDecoding,
): Promise<OpusEnd> {
  let numEmpty = 0;
  for (;;) {
    const next = await stream.next();
    if (next.done === true) return next.value;
    if (turns.isOver) await turns.next();
    if (next.value.length > 0) {
      recording.append(decode(next.value), FORMAT);
      continue;
    }
    // Packets without sound end some streams; their number is bounded all the same.
    numEmpty += 1;
    recording.admit(numEmpty * MIN_PACKET_SAMPLES, FORMAT);
  }
}

function decodePacket(decoder: OpusDecoder<48000>, packet: Buffer): Float32Array[] {
  try {
    const { channelData, errors } = decoder.decodeFrame(packet);
    if (errors[0] !== undefined) throw damaged(errors[0].message);
    return channelData;
  } catch (cause: unknown) {
    if (cause instanceof MeshError) throw cause;
    // A packet larger than Opus allows does not fit the decoder's memory.
    throw damaged(errorMessage(cause));
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
  const streamCount = head.readUInt8(HEAD_BYTES);
  const coupledStreamCount = head.readUInt8(HEAD_BYTES + 1);
  // Every stream is decoded, whether a channel plays it or not.
  if (streamCount + coupledStreamCount > MAX_CHANNELS) {
    throw damaged(`${streamCount} streams, ${coupledStreamCount} of them stereo`);
  }
  return {
    ...common,
    streamCount,
    coupledStreamCount,
    channelMappingTable: [...head.subarray(HEAD_BYTES + 2, HEAD_BYTES + 2 + channels)],
  };
}

function amplified(channels: Float32Array[], gain: number): Float32Array[] {
  return gain === 1 ? channels : channels.map((samples) => samples.map((value) => value * gain));
}

function damaged(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the Opus stream is damaged: ${why}`);
}
