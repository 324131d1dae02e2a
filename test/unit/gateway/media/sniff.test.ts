import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { formatOf } from '#gateway/media/file-format.ts';
import { sniffMediaType } from '#gateway/media/sniff.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { refusalOf } from '#test/refusal.ts';

const bytes = (latin1: string) => Buffer.from(latin1, 'latin1');
const fixture = (path: string) => readFileSync(join(PACKAGE_ROOT, 'test/testdata', path));

/** Makes the first Ogg page of one segment whose payload begins with `codecHeader`. */
const ogg = (codecHeader: string) => bytes(`OggS\0\x02${'\0'.repeat(20)}\x01\x13${codecHeader}`);

/** Makes an EBML header: version elements, then DocType. */
const ebml = (docType: string) =>
  bytes(
    `\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x84${docType}\x42\x87\x81\x04`,
  );

/** Makes an ID3v2 tag with `tagBytes` bytes of padding, below 128. */
const id3 = (tagBytes: number) =>
  `ID3\x04\0\0\0\0\0${String.fromCharCode(tagBytes)}${'\0'.repeat(tagBytes)}`;

const ACCEPTED: readonly (readonly [string, Buffer, 'image' | 'audio', string])[] = [
  ['a PNG file', fixture('resize/0.in.png'), 'image', 'image/png'],
  ['a JPEG file', bytes('\xff\xd8\xff\xe0\0\x10JFIF\0'), 'image', 'image/jpeg'],
  ['a JPEG file with EXIF first', bytes('\xff\xd8\xff\xe1\0\x10Exif\0'), 'image', 'image/jpeg'],
  ['a WebP file', bytes('RIFF\x10\0\0\0WEBPVP8 '), 'image', 'image/webp'],
  ['a GIF87a file', bytes('GIF87a\x01\0\x01\0'), 'image', 'image/gif'],
  ['a GIF89a file', bytes('GIF89a\x01\0\x01\0'), 'image', 'image/gif'],
  ['a WAV file', fixture('conformer-tiny/audio0.wav'), 'audio', 'audio/wav'],
  ['an MP3 frame', bytes('\xff\xfb\x90\x64\0'), 'audio', 'audio/mpeg'],
  ['an MP3 frame of MPEG 2', bytes('\xff\xf3\x40\xc4\0'), 'audio', 'audio/mpeg'],
  ['an MP3 frame of MPEG 2.5 with CRC', bytes('\xff\xe2\x18\xc4\0'), 'audio', 'audio/mpeg'],
  ['an MP3 file with a tag', bytes(`${id3(9)}\xff\xfb\x90\x64`), 'audio', 'audio/mpeg'],
  ['a tag whose frame is not here', bytes(id3(100)), 'audio', 'audio/mpeg'],
  ['a FLAC file', bytes('fLaC\0\0\0\x22'), 'audio', 'audio/flac'],
  ['a FLAC file behind a tag', bytes(`${id3(5)}fLaC\0\0\0\x22`), 'audio', 'audio/flac'],
  ['an Ogg Opus file', ogg('OpusHead\x01\x02'), 'audio', 'audio/ogg'],
  ['a WebM file', ebml('webm'), 'audio', 'audio/webm'],
  ['a Matroska file', ebml('matroska'), 'audio', 'audio/x-matroska'],
];

const NAMED: readonly (readonly [string, Buffer])[] = [
  ['HEIC', bytes('\0\0\0\x18ftypheic\0\0\0\0')],
  ['HEIC', bytes('\0\0\0\x18ftypmif1\0\0\0\0')],
  ['AVIF', bytes('\0\0\0\x1cftypavif\0\0\0\0')],
  ['M4A', bytes('\0\0\0\x1cftypM4A \0\0\0\0')],
  ['QuickTime', bytes('\0\0\0\x14ftypqt  \0\0\0\0')],
  ['MP4', bytes('\0\0\0\x20ftypisom\0\0\x02\0')],
  ['BMP', bytes('BM\x36\0\x0c\0\0\0\0\0\x36\0\0\0')],
  ['TIFF', bytes('II*\0\x08\0\0\0')],
  ['TIFF', bytes('MM\0*\0\0\0\x08')],
  ['JPEG XL', bytes('\xff\x0a\xfa\x1f')],
  ['JPEG 2000', bytes('\0\0\0\x0cjP  \r\n\x87\n')],
  ['ICO', bytes('\0\0\x01\0\x01\0\x10\x10')],
  ['AAC', bytes('\xff\xf1\x50\x80\x02')],
  ['AAC', bytes(`${id3(3)}\xff\xf1\x50\x80\x02`)],
  ['Ogg Vorbis', ogg('\x01vorbis\0')],
  ['Ogg FLAC', ogg('\x7fFLAC\x01')],
  ['Ogg Speex', ogg('Speex   1.2')],
  ['Ogg of another codec', ogg('\x80theora')],
  ['AIFF', bytes('FORM\0\0\0\x40AIFFCOMM')],
  ['AMR', bytes('#!AMR\n')],
  ['CAF', bytes('caff\0\x01\0\0')],
  ['AU', bytes('.snd\0\0\0\x18')],
  ['WMA', bytes('\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9')],
  ['AVI', bytes('RIFF\x10\0\0\0AVI LIST')],
  ['big-endian WAV', bytes('RIFX\0\0\0\x10WAVE')],
  ['64-bit WAV', bytes('RF64\xff\xff\xff\xffWAVE')],
  ['MIDI', bytes('MThd\0\0\0\x06')],
  ['PDF', bytes('%PDF-1.7\n')],
  ['a ZIP archive', bytes('PK\x03\x04\x14\0')],
  ['gzip', bytes('\x1f\x8b\x08\0')],
  ['an HTML page', bytes('\n<!DOCTYPE html>\n<html>')],
  ['an HTML page', bytes('<html lang="en">')],
  ['SVG', bytes('<svg xmlns="http://www.w3.org/2000/svg"/>')],
  ['SVG', bytes('\xef\xbb\xbf<?xml version="1.0"?>\n<!-- made by hand -->\n<svg/>')],
  ['XML', bytes('<?xml version="1.0"?><Error/>')],
];

const UNKNOWN: readonly (readonly [string, Buffer])[] = [
  ['nothing', bytes('')],
  ['one byte', bytes('\xff')],
  ['half a magic number', bytes('\x89PNG')],
  ['plain text', bytes('Not found')],
  ['UTF-16 text', bytes('\xff\xfea\0b\0')],
  ['a RIFF file of another kind', bytes('RIFF\x10\0\0\0ACON')],
  ['a frame of a forbidden bit rate', bytes('\xff\xfb\xf0\x64')],
  ['a frame of a forbidden sample rate', bytes('\xff\xfb\x9c\x64')],
  ['a frame of a reserved version', bytes('\xff\xeb\x90\x64')],
];

describe('formatOf', () => {
  for (const [what, file, modality, mediaType] of ACCEPTED) {
    it(`tells ${what}`, () => {
      assert.deepEqual(formatOf(file)?.accepted, { modality, mediaType });
    });
  }

  for (const [name, file] of NAMED) {
    it(`knows ${name} (${file.toString('latin1', 0, 12).replaceAll(/[^ -~]/g, '.')}) by name`, () => {
      assert.deepEqual(formatOf(file)?.name, name);
      assert.equal(formatOf(file)?.accepted, undefined);
    });
  }

  for (const [what, file] of UNKNOWN) {
    it(`takes ${what} for nothing it knows`, () => {
      assert.equal(formatOf(file), undefined);
    });
  }
});

describe('sniffMediaType', () => {
  const context = { modality: 'image', declaredType: undefined, param: 'image_url.url' } as const;

  function messageFor(file: Buffer, declaredType?: string): string {
    const error = refusalOf(() => sniffMediaType(file, { ...context, declaredType }));
    assert.equal(error.reason, 'UNSUPPORTED_MEDIA');
    assert.equal(error.param, 'image_url.url');
    return error.message;
  }

  it('believes the magic number, not the declared type', () => {
    const mediaType = sniffMediaType(bytes('GIF89a\x01\0'), {
      ...context,
      declaredType: 'image/png',
    });

    assert.equal(mediaType, 'image/gif');
  });

  it('names what came and what is accepted', () => {
    assert.equal(
      messageFor(bytes('%PDF-1.7'), 'image/png'),
      'image_url.url looks like PDF (declared as image/png); image formats accepted here are JPEG, PNG, WebP, GIF',
    );
  });

  it('refuses a recording where an image is expected', () => {
    assert.match(messageFor(bytes('fLaC\0\0\0\x22')), /looks like FLAC; image formats/);
  });

  it('refuses an image where a recording is expected', () => {
    const error = refusalOf(() =>
      sniffMediaType(bytes('GIF89a'), { ...context, modality: 'audio', param: 'input_audio.data' }),
    );

    assert.match(error.message, /looks like GIF; audio formats accepted here are WAV, MP3, FLAC/);
  });

  it('says that an item is empty', () => {
    assert.match(messageFor(bytes('')), /is empty/);
  });

  it('says that it recognises nothing', () => {
    assert.match(messageFor(bytes('hello')), /is not recognised as an image; image formats/);
  });
});
