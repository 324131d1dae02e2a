import type { Modality } from './modality.ts';

/** What a file's first bytes say it is. */
export interface MediaFormat {
  /** Name for people: "JPEG", "an HTML page". */
  readonly name: string;
  /** Set for the formats the encoders read. */
  readonly accepted?: AcceptedFormat;
}

export interface AcceptedFormat {
  readonly modality: Modality;
  /** IANA media type. */
  readonly mediaType: string;
}

/** Longest stretch any of the patterns looks at. */
const HEAD_BYTES = 512;

/** Tag header: "ID3", version (2), flags, size as four 7-bit digits. */
const ID3_HEADER_BYTES = 10;

interface Signature extends MediaFormat {
  /** Matches the first bytes read as Latin-1. */
  readonly magic: RegExp;
}

const image = (mediaType: string): AcceptedFormat => ({ modality: 'image', mediaType });
const audio = (mediaType: string): AcceptedFormat => ({ modality: 'audio', mediaType });

const MP3: MediaFormat = { name: 'MP3', accepted: audio('audio/mpeg') };

/** Formats the encoders read. */
const ACCEPTED: readonly Signature[] = [
  { name: 'JPEG', accepted: image('image/jpeg'), magic: /^\xff\xd8\xff/ },
  { name: 'PNG', accepted: image('image/png'), magic: /^\x89PNG\r\n\x1a\n/ },
  { name: 'WebP', accepted: image('image/webp'), magic: /^RIFF.{4}WEBP/s },
  { name: 'GIF', accepted: image('image/gif'), magic: /^GIF8[79]a/ },
  { name: 'WAV', accepted: audio('audio/wav'), magic: /^RIFF.{4}WAVE/s },
  { name: 'FLAC', accepted: audio('audio/flac'), magic: /^fLaC/ },
  // The codec's header is alone on the first page, in one segment (RFC 7845 §3).
  { name: 'Ogg Opus', accepted: audio('audio/ogg'), magic: /^OggS.{22}\x01.OpusHead/s },
  // DocType is an element of the EBML header, 0x4282 and its length before the text.
  { name: 'WebM', accepted: audio('audio/webm'), magic: /^\x1a\x45\xdf\xa3.{0,80}\x42\x82.{1,8}webm/s },
  // Frame sync, any MPEG version, layer III, a bit rate that is not the forbidden one.
  { ...MP3, magic: /^\xff[\xe2\xe3\xf2\xf3\xfa\xfb][^\xf0-\xff]/ },
];

/** Formats worth a name in the refusal. The more particular pattern comes first. */
const OTHERS: readonly Signature[] = [
  { name: 'HEIC', magic: /^.{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)/s },
  { name: 'AVIF', magic: /^.{4}ftypavi[fs]/s },
  { name: 'M4A', magic: /^.{4}ftypM4[AB] /s },
  { name: 'QuickTime', magic: /^.{4}ftypqt {2}/s },
  { name: 'MP4', magic: /^.{4}ftyp/s },
  { name: 'BMP', magic: /^BM.{4}\0{4}/s },
  { name: 'TIFF', magic: /^(?:II[*+]\0|MM\0[*+])/ },
  { name: 'JPEG XL', magic: /^(?:\xff\x0a|\0\0\0\x0cJXL )/ },
  { name: 'JPEG 2000', magic: /^(?:\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/ },
  { name: 'ICO', magic: /^\0\0\x01\0[^\0]\0/ },
  { name: 'AAC', magic: /^(?:\xff[\xf0\xf1\xf8\xf9]|ADIF)/ },
  { name: 'Ogg Vorbis', magic: /^OggS.{22}\x01.\x01vorbis/s },
  { name: 'Ogg FLAC', magic: /^OggS.{22}\x01.\x7fFLAC/s },
  { name: 'Ogg Speex', magic: /^OggS.{22}\x01.Speex/s },
  { name: 'Ogg of another codec', magic: /^OggS/ },
  { name: 'Matroska', magic: /^\x1a\x45\xdf\xa3/ },
  { name: 'AIFF', magic: /^FORM.{4}AIF[FC]/s },
  { name: 'AMR', magic: /^#!AMR/ },
  { name: 'CAF', magic: /^caff\0/ },
  { name: 'AU', magic: /^\.snd/ },
  { name: 'WMA', magic: /^\x30\x26\xb2\x75\x8e\x66\xcf\x11/ },
  { name: 'AVI', magic: /^RIFF.{4}AVI /s },
  { name: 'big-endian WAV', magic: /^RIFX/ },
  { name: '64-bit WAV', magic: /^(?:RF64|BW64)/ },
  { name: 'MIDI', magic: /^MThd/ },
  { name: 'PDF', magic: /^%PDF-/ },
  { name: 'a ZIP archive', magic: /^PK\x03\x04/ },
  { name: 'gzip', magic: /^\x1f\x8b/ },
  { name: 'an HTML page', magic: /^(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)/i },
  { name: 'SVG', magic: /^(?:\xef\xbb\xbf)?\s*<(?:svg|!doctype\s+svg|\?xml.{0,400}<svg)/is },
  { name: 'XML', magic: /^(?:\xef\xbb\xbf)?\s*<\?xml/i },
];

/** Formats a request may carry, for a refusal: "JPEG, PNG, WebP, GIF". */
export function acceptedNames(modality: Modality): string {
  const ofModality = ACCEPTED.filter(({ accepted }) => accepted?.modality === modality);
  return ofModality.map(({ name }) => name).join(', ');
}

/** Tells a file's format by its magic number; undefined: by none that is known. */
export function formatOf(bytes: Uint8Array): MediaFormat | undefined {
  const head = headOf(bytes, 0);
  if (!head.startsWith('ID3')) return matching(head);
  // An ID3 tag may also stand before FLAC or AAC; padding may hide the frame behind it.
  return matching(headOf(bytes, id3TagBytes(bytes))) ?? MP3;
}

function matching(head: string): MediaFormat | undefined {
  const matches = ({ magic }: Signature) => magic.test(head);
  return ACCEPTED.find(matches) ?? OTHERS.find(matches);
}

function headOf(bytes: Uint8Array, start: number): string {
  return Buffer.from(bytes.subarray(start, start + HEAD_BYTES)).toString('latin1');
}

function id3TagBytes(bytes: Uint8Array): number {
  const digits = bytes.subarray(6, ID3_HEADER_BYTES);
  return digits.reduce((size, digit) => size * 128 + (digit & 0x7f), 0) + ID3_HEADER_BYTES;
}
