import type { OpenedFile } from '#encoder/media-reader.ts';
import { Turns } from '#mesh/async/turns.ts';
import { MeshError } from '#mesh/errors.ts';
import { id3TagBytes } from '#mesh/id3-tag.ts';
import { decodeFlac } from './flac.ts';
import { decodeMp3 } from './mp3.ts';
import { oggLinks, readOggOpus } from './ogg.ts';
import { openedRecording } from './opened-recording.ts';
import { decodeOpus } from './opus.ts';
import { Recording, type RecordingLimits } from './recording.ts';
import { decodeWav } from './wav.ts';
import { readWebmOpus } from './webm.ts';

interface FileFormat {
  readonly isIt: (head: Buffer) => boolean;
  readonly decode: (bytes: Buffer, recording: Recording, turns: Turns) => Promise<void>;
}

/** File formats by their first bytes; a name or a declared type decides nothing. */
const FILE_FORMATS: readonly FileFormat[] = [
  {
    isIt: (head) => ascii(head, 0, 4) === 'RIFF' && ascii(head, 8, 12) === 'WAVE',
    decode: decodeWav,
  },
  { isIt: (head) => ascii(head, 0, 4) === 'fLaC', decode: decodeFlac },
  {
    isIt: (head) => ascii(head, 0, 4) === 'OggS',
    decode: async (bytes, recording, turns) => {
      for (const link of await oggLinks(bytes, turns)) {
        await decodeOpus(readOggOpus(link, turns), recording, turns);
      }
    },
  },
  {
    isIt: (head) => ascii(head, 0, 4) === '\x1a\x45\xdf\xa3',
    decode: (bytes, recording, turns) => decodeOpus(readWebmOpus(bytes, turns), recording, turns),
  },
  { isIt: isMpegFrame, decode: decodeMp3 },
];

/**
 * The format of a file that starts with an ID3 tag and is not recognised: padding may hide the
 * first frame.
 */
const TAGGED_FORMAT: FileFormat = { isIt: () => true, decode: decodeMp3 };

function ascii(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('latin1', start, end);
}

/** Eleven bits of sync, then a layer, a bit rate and a sample rate that exist. */
function isMpegFrame(head: Buffer): boolean {
  const [sync, version, rates] = [head[0] ?? 0, head[1] ?? 0, head[2] ?? 0];
  const hasLayer = (version & 0x06) !== 0;
  const hasRates = (rates & 0xf0) !== 0xf0 && (rates & 0x0c) !== 0x0c;
  return sync === 0xff && (version & 0xe0) === 0xe0 && hasLayer && hasRates;
}

/** Opens a WAV, FLAC, Ogg Opus, WebM Opus or MP3 file. */
export async function openAudio(file: Buffer, limits: RecordingLimits): Promise<OpenedFile> {
  const bytes = file.subarray(id3TagBytes(file));
  const known = FILE_FORMATS.find(({ isIt }) => isIt(bytes));
  const format = known ?? (bytes.length < file.length ? TAGGED_FORMAT : undefined);
  if (format === undefined) {
    const message = 'the item is not a WAV, MP3, FLAC, Ogg Opus or WebM Opus recording';
    throw new MeshError('UNSUPPORTED_MEDIA', message);
  }
  const recording = new Recording(limits);
  await format.decode(bytes, recording, new Turns());
  return openedRecording(recording);
}
