import { id3TagBytes } from '#mesh/id3-tag.ts';
import type { MediaModality } from '#mesh/modality.ts';

/** The format of a file, by its first bytes. */
export interface FileFormat {
  /** Name for users: "JPEG", "an HTML page". */
  readonly name: string;
  /** Set if the encoders read the format. */
  readonly accepted?: AcceptedFormat;
}

export interface AcceptedFormat {
  readonly modality: MediaModality;
  /** IANA media type. */
  readonly mediaType: string;
}

interface Signature extends FileFormat {
  /** Tells whether the first bytes, read as Latin-1, are of this format. */
  readonly matches: (head: string) => boolean;
}

/** Most bytes that any signature looks at. */
const HEAD_BYTES = 512;

/** Most bytes of an EBML header that are searched for its DocType element. */
const EBML_HEADER_BYTES = 96;

const image = (mediaType: string): AcceptedFormat => ({ modality: 'image', mediaType });
const audio = (mediaType: string): AcceptedFormat => ({ modality: 'audio', mediaType });

const MP3: FileFormat = { name: 'MP3', accepted: audio('audio/mpeg') };

/** Formats the encoders read. */
const ACCEPTED: readonly Signature[] = [
  { name: 'JPEG', accepted: image('image/jpeg'), matches: starts('\xff\xd8\xff') },
  { name: 'PNG', accepted: image('image/png'), matches: starts('\x89PNG\r\n\x1a\n') },
  { name: 'WebP', accepted: image('image/webp'), matches: container('RIFF', 'WEBP') },
  { name: 'GIF', accepted: image('image/gif'), matches: starts('GIF87a', 'GIF89a') },
  { name: 'WAV', accepted: audio('audio/wav'), matches: container('RIFF', 'WAVE') },
  { ...MP3, matches: isMp3Frame },
  { name: 'FLAC', accepted: audio('audio/flac'), matches: starts('fLaC') },
  { name: 'Ogg Opus', accepted: audio('audio/ogg'), matches: ogg('OpusHead') },
  { name: 'WebM', accepted: audio('audio/webm'), matches: ebml('webm') },
  { name: 'Matroska', accepted: audio('audio/x-matroska'), matches: ebml('matroska') },
];

/** Formats that a refusal names; of two that match, the more specific comes first. */
const OTHERS: readonly Signature[] = [
  { name: 'HEIC', matches: isoMedia('heic', 'heix', 'heim', 'heis', 'hevc', 'mif1', 'msf1') },
  { name: 'AVIF', matches: isoMedia('avif', 'avis') },
  { name: 'M4A', matches: isoMedia('M4A ', 'M4B ') },
  { name: 'QuickTime', matches: isoMedia('qt  ') },
  { name: 'MP4', matches: isoMedia('') },
  { name: 'BMP', matches: (head) => head.startsWith('BM') && head.startsWith('\0\0\0\0', 6) },
  { name: 'TIFF', matches: starts('II*\0', 'MM\0*', 'II+\0', 'MM\0+') },
  { name: 'JPEG XL', matches: starts('\xff\x0a', '\0\0\0\x0cJXL ') },
  { name: 'JPEG 2000', matches: starts('\0\0\0\x0cjP  ', '\xff\x4f\xff\x51') },
  { name: 'ICO', matches: starts('\0\0\x01\0') },
  { name: 'AAC', matches: starts('\xff\xf0', '\xff\xf1', '\xff\xf8', '\xff\xf9', 'ADIF') },
  { name: 'Ogg Vorbis', matches: ogg('\x01vorbis') },
  { name: 'Ogg FLAC', matches: ogg('\x7fFLAC') },
  { name: 'Ogg Speex', matches: ogg('Speex') },
  { name: 'Ogg of another codec', matches: starts('OggS') },
  { name: 'AIFF', matches: container('FORM', 'AIF') },
  { name: 'AMR', matches: starts('#!AMR') },
  { name: 'CAF', matches: starts('caff') },
  { name: 'AU', matches: starts('.snd') },
  { name: 'WMA', matches: starts('\x30\x26\xb2\x75\x8e\x66\xcf\x11') },
  { name: 'AVI', matches: container('RIFF', 'AVI ') },
  { name: 'big-endian WAV', matches: starts('RIFX') },
  { name: '64-bit WAV', matches: starts('RF64', 'BW64') },
  { name: 'MIDI', matches: starts('MThd') },
  { name: 'PDF', matches: starts('%PDF-') },
  { name: 'a ZIP archive', matches: starts('PK\x03\x04') },
  { name: 'gzip', matches: starts('\x1f\x8b') },
  { name: 'an HTML page', matches: markup(/^<(?:!doctype\s+html|html)/i) },
  { name: 'SVG', matches: markup(/^<(?:svg|!doctype\s+svg|\?xml.{0,400}<svg)/is) },
  { name: 'XML', matches: markup(/^<\?xml/i) },
];

/** Names the formats a request may carry, for a refusal: "JPEG, PNG, WebP, GIF". */
export function acceptedNames(modality: MediaModality): string {
  const ofModality = ACCEPTED.filter(({ accepted }) => accepted?.modality === modality);
  return ofModality.map(({ name }) => name).join(', ');
}

/** Returns a file's format by its magic number; undefined if none matches. */
export function formatOf(bytes: Buffer): FileFormat | undefined {
  const tagBytes = id3TagBytes(bytes);
  // An ID3 tag may precede FLAC or AAC too; after padding, the frame of an MP3 may not be found.
  return matching(headOf(bytes, tagBytes)) ?? (tagBytes > 0 ? MP3 : undefined);
}

function matching(head: string): FileFormat | undefined {
  const isMatch = ({ matches }: Signature) => matches(head);
  return ACCEPTED.find(isMatch) ?? OTHERS.find(isMatch);
}

function headOf(bytes: Buffer, start: number): string {
  return bytes.toString('latin1', start, start + HEAD_BYTES);
}

function starts(...prefixes: readonly string[]) {
  return (head: string) => prefixes.some((prefix) => head.startsWith(prefix));
}

/** Matches RIFF and IFF: a four-letter code, a length, the code of the content. */
function container(outer: string, inner: string) {
  return (head: string) => head.startsWith(outer) && head.startsWith(inner, 8);
}

/** Matches ISO base media: a length, "ftyp", the major brand. */
function isoMedia(...brands: readonly string[]) {
  return (head: string) =>
    head.startsWith('ftyp', 4) && brands.some((brand) => head.startsWith(brand, 8));
}

/** Matches Ogg: the codec's header is alone on the first page, in one segment (RFC 7845 §3). */
function ogg(codecHeader: string) {
  return (head: string) => head.startsWith('OggS') && head.startsWith(codecHeader, 28);
}

/** Matches the DocType in an EBML header, element 0x4282: a length, then text. */
function ebml(docType: string) {
  return (head: string) => {
    if (!head.startsWith('\x1a\x45\xdf\xa3')) return false;
    const element = head.slice(0, EBML_HEADER_BYTES).indexOf('\x42\x82');
    return element !== -1 && head.slice(element, element + 16).includes(docType);
  };
}

/**
 * Matches a frame sync, a valid MPEG version, layer III, a valid bit rate and a valid sample rate.
 */
function isMp3Frame(head: string): boolean {
  const [sync = 0, kind = 0, rates = 0] = Buffer.from(head.slice(0, 3), 'latin1');
  const isLayer3 = (kind & 0xe6) === 0xe2 && (kind & 0x18) !== 0x08;
  return sync === 0xff && isLayer3 && rates < 0xf0 && (rates & 0x0c) !== 0x0c;
}

/** Matches text formats, after a byte order mark and white space. */
function markup(opening: RegExp) {
  return (head: string) => opening.test(head.replace(/^\xef\xbb\xbf/, '').trimStart());
}
