import { crc8, crc16 } from '#speech/flac-checksum.ts';
import { isFlacFrame, readFlacFrame, readFlacHeader } from '#speech/flac-frame.ts';
import type { Specimen } from '#test/mutations.ts';
import { fixture } from './audio-decoding.ts';
import { constant, differences, flacFile, shifted, verbatim } from './flac-file.ts';
import { emptyBlock, oggChecksum, oggOpus, oggPage, opusTrack, webm } from './hostile-audio.ts';
import { wavFile } from './wav-file.ts';

// Small valid recordings with the places of their structure.

/** Finds every place at which one of these byte sequences begins, ascending. */
function placesOf(bytes: Buffer, ...sequences: readonly Buffer[]): number[] {
  const places: number[] = [];
  for (const one of sequences) {
    for (let at = bytes.indexOf(one); at !== -1; at = bytes.indexOf(one, at + 1)) places.push(at);
  }
  return places.sort((a, b) => a - b);
}

const OGG_PAGE = Buffer.from('OggS');

function oggSpecimen(name: string, bytes: Buffer): Specimen {
  const marks = placesOf(bytes, OGG_PAGE);
  const fields = marks.slice(0, 4).flatMap((at) => [
    { at: at + 4, numBytes: 2 }, // version and flags
    { at: at + 6, numBytes: 8 }, // granule position
    { at: at + 14, numBytes: 4 }, // serial
    { at: at + 26, numBytes: 1 }, // number of segments
    { at: at + 27, numBytes: 1 }, // length of the first
    { at: at + 37, numBytes: 10 }, // in OpusHead: channels, pre-skip, rate, gain and mapping family
  ]);
  return { name, bytes, marks, fields, repair: repairOgg };
}

/** Gives each page its checksum. */
export function repairOgg(bytes: Buffer): void {
  for (const at of placesOf(bytes, OGG_PAGE)) {
    const numSegments = bytes[at + 26] ?? 0;
    const lengths = bytes.subarray(at + 27, at + 27 + numSegments);
    const end = lengths.reduce((sum, length) => sum + length, at + 27 + numSegments);
    if (end > bytes.length) continue;
    bytes.writeUInt32LE(0, at + 22);
    bytes.writeUInt32LE(oggChecksum(bytes.subarray(at, end)), at + 22);
  }
}

const LONG_PACKET = oggPage([255, 255, 10, 0, 7], Buffer.alloc(527, 9));

export const OGG_SPECIMENS: readonly Specimen[] = [
  oggSpecimen(
    'pages of made packets',
    oggOpus(LONG_PACKET, oggPage([255], Buffer.alloc(255)), LONG_PACKET),
  ),
  oggSpecimen('speech.ogg', fixture('speech.ogg')),
];

/** Specimen that is damaged only in the fields of its first page that describe the sound. */
export const OPUS_HEAD_SPECIMEN: Specimen = {
  ...oggSpecimen('the head of speech.ogg', fixture('speech.ogg')),
  marks: [],
  fields: [{ at: 37, numBytes: 10 }],
};

/** Ids with which the EBML header, groups, tracks and blocks begin. */
const WEBM_IDS = ['1a45dfa3', '18538067', '1654ae6b', '1f43b675', '63a2', '75a2'].map((hex) =>
  Buffer.from(hex, 'hex'),
);

function webmSpecimen(name: string, bytes: Buffer): Specimen {
  const marks = placesOf(bytes, ...WEBM_IDS);
  const fields = marks.slice(0, 8).map((at) => ({ at: at + 4, numBytes: 8 }));
  return { name, bytes, marks, fields };
}

const SOUND_BLOCK = Buffer.from([0xa3, 0x86, 0x81, 0, 0, 0, 1, 2]);

export const WEBM_SPECIMENS: readonly Specimen[] = [
  webmSpecimen('made blocks', webm([opusTrack()], emptyBlock(1), SOUND_BLOCK, emptyBlock(2))),
  webmSpecimen('speech-live.webm', fixture('speech-live.webm')),
  webmSpecimen('speech.webm', fixture('speech.webm')),
];

function wavSpecimen(name: string, bytes: Buffer): Specimen {
  const marks = placesOf(bytes, Buffer.from('LIST'), Buffer.from('fmt '), Buffer.from('data'));
  const format = placesOf(bytes, Buffer.from('fmt '))[0] ?? 0;
  const sizes = marks.map((at) => ({ at: at + 4, numBytes: 4 }));
  const fields = [
    { at: 4, numBytes: 4 }, // of RIFF
    ...sizes,
    { at: format + 8, numBytes: 2 }, // format
    { at: format + 10, numBytes: 2 }, // channels
    { at: format + 12, numBytes: 4 }, // rate
    { at: format + 22, numBytes: 2 }, // bits
  ];
  return { name, bytes, marks, fields };
}

const FRAMES = Array.from({ length: 100 }, (_, i) => [i / 200, -i / 200]);

export const WAV_SPECIMENS: readonly Specimen[] = [
  wavSpecimen('16 bits', wavFile(FRAMES, { sampleType: 'int16' })),
  wavSpecimen('24 bits, extensible', wavFile(FRAMES, { sampleType: 'int24', isExtensible: true })),
  wavSpecimen('64-bit floats', wavFile(FRAMES, { sampleType: 'float64' })),
];

interface FlacPlace {
  readonly at: number;
  readonly bodyStart: number;
  readonly end: number;
}

/** Finds the frames of a file of 16 bits. */
function flacFrames(bytes: Buffer): FlacPlace[] {
  const stream = { sampleRateHz: 16_000, bitsPerSample: 16 };
  const frames: FlacPlace[] = [];
  let at = 4;
  for (let isLast = false; !isLast; at += 4 + bytes.readUIntBE(at + 1, 3)) {
    isLast = bytes.readUInt8(at) >= 0x80;
  }
  while (isFlacFrame(bytes, at)) {
    const header = readFlacHeader(bytes, at, stream);
    const { end } = readFlacFrame(bytes, at, header);
    frames.push({ at, bodyStart: header.bodyStart, end });
    at = end;
  }
  return frames;
}

function flacSpecimen(name: string, bytes: Buffer): Specimen {
  const frames = flacFrames(bytes);
  const fields = [
    { at: 4, numBytes: 1 }, // kind of the first metadata block
    { at: 5, numBytes: 3 }, // its length
    { at: 18, numBytes: 3 }, // rate
    { at: 20, numBytes: 2 }, // channels and bits
    { at: 21, numBytes: 5 }, // number of samples
    ...frames.slice(0, 3).flatMap(({ at, bodyStart }) => [
      { at: at + 2, numBytes: bodyStart - at - 3 },
      { at: bodyStart, numBytes: 4 },
    ]),
  ];
  return {
    name,
    bytes,
    marks: [4, ...frames.map(({ at }) => at)],
    fields,
    repair: (damaged) => repairFlac(damaged, frames),
  };
}

/** Writes the checksums of each frame that is still at its place. */
function repairFlac(bytes: Buffer, frames: readonly FlacPlace[]): void {
  for (const { at, bodyStart, end } of frames) {
    if (end > bytes.length) return;
    bytes[bodyStart - 1] = crc8(bytes.subarray(at, bodyStart - 1));
    bytes.writeUInt16BE(crc16(bytes.subarray(at, end - 2)), end - 2);
  }
}

const RAMP = [0, 4, 8, -12, 400, -32_768, 32_764, 0];
const RAMP_FRAMES = [verbatim(RAMP), differences(RAMP), shifted(RAMP, 2), constant(-3)].map(
  (subframe) => ({ blockSize: RAMP.length, subframes: [subframe, constant(5)] }),
);
const STEREO_FRAMES = (['left-side', 'side-right', 'mid-side'] as const).map((stereo) => ({
  blockSize: RAMP.length,
  subframes: [constant(7), verbatim([1, 2, 3, 4, -4, -3, -2, -1])],
  stereo,
}));

export const FLAC_SPECIMENS: readonly Specimen[] = [
  flacSpecimen('each kind of subframe', flacFile({ frames: RAMP_FRAMES })),
  flacSpecimen(
    'each kind of stereo, length unknown',
    flacFile({ frames: STEREO_FRAMES, numSamples: 0, metadata: [Buffer.alloc(9)] }),
  ),
  flacSpecimen('command-flac8.flac', fixture('command-flac8.flac')),
  flacSpecimen('command-sox.flac', fixture('command-sox.flac')),
];
