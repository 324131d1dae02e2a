import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type MediaReference, mediaReference } from '#gateway/openai/request/media-reference.ts';
import { refusalOf } from '#test/refusal.ts';

const AT = 'messages[0].content[1]';

function read(part: Readonly<Record<string, unknown>>): MediaReference {
  return mediaReference({ part, at: AT }) ?? assert.fail('not a media part');
}

describe('mediaReference', () => {
  it('reads a screenshot as a data URL', () => {
    const url = 'data:image/png;base64,iVBORw0KGgo=';

    assert.deepEqual(read({ type: 'image_url', image_url: { url, detail: 'high' } }), {
      modality: 'image',
      param: `${AT}.image_url.url`,
      source: { kind: 'base64', text: 'iVBORw0KGgo=' },
      declaredType: 'image/png',
    });
  });

  it('reads an image by its URL', () => {
    const url = 'https://example.com/a.png?b=c';

    assert.deepEqual(read({ type: 'image_url', image_url: { url } }), {
      modality: 'image',
      param: `${AT}.image_url.url`,
      source: { kind: 'remote', url: new URL(url) },
      declaredType: undefined,
    });
  });

  it('reads an image_url that is the URL itself', () => {
    const reference = read({ type: 'image_url', image_url: 'data:;base64,AAAA' });

    assert.equal(reference.param, `${AT}.image_url`);
    assert.deepEqual(reference.source, { kind: 'base64', text: 'AAAA' });
  });

  it('reads a recording with its format', () => {
    const input_audio = { data: 'UklGRg==', format: 'wav' };

    assert.deepEqual(read({ type: 'input_audio', input_audio }), {
      modality: 'audio',
      param: `${AT}.input_audio.data`,
      source: { kind: 'base64', text: 'UklGRg==' },
      declaredType: 'wav',
    });
  });

  it('reads a recording whose data is a data URL', () => {
    const input_audio = { data: 'data:audio/mpeg;base64,AAAA', format: 'mp3' };
    const reference = read({ type: 'input_audio', input_audio });

    assert.deepEqual(reference.source, { kind: 'base64', text: 'AAAA' });
    assert.equal(reference.declaredType, 'audio/mpeg');
  });

  it('reads a recording by its URL', () => {
    const reference = read({ type: 'audio_url', audio_url: { url: 'http://example.com/a.mp3' } });

    assert.equal(reference.modality, 'audio');
    assert.equal(reference.source.kind, 'remote');
    assert.equal(reference.param, `${AT}.audio_url.url`);
  });

  it('reads a file by its URL', () => {
    const reference = read({ type: 'image_url', image_url: { url: 'file:///media/a.png' } });

    assert.equal(reference.source.kind, 'file');
  });

  it('reads data URLs with parameters, capitals and blanks before them', () => {
    const url = ' DATA:Image/PNG;charset=utf-8;Base64,AAAA';
    const reference = read({ type: 'image_url', image_url: { url } });

    assert.deepEqual(reference.source, { kind: 'base64', text: 'AAAA' });
    assert.equal(reference.declaredType, 'image/png');
  });

  it('does not quote a declared type that is none', () => {
    const url = 'data:<script>;base64,AAAA';

    assert.equal(read({ type: 'image_url', image_url: { url } }).declaredType, undefined);
  });

  it('reads percent-encoded data, of base64 or of the bytes themselves', () => {
    const source = (url: string) => read({ type: 'image_url', image_url: { url } }).source;

    assert.deepEqual(source('data:image/png;base64,iVBORw0KGgo%3D'), {
      kind: 'percent',
      text: 'iVBORw0KGgo%3D',
      isBase64: true,
    });
    assert.deepEqual(source('data:image/png,%89PNG'), {
      kind: 'percent',
      text: '%89PNG',
      isBase64: false,
    });
  });

  it('reads a data URL with parameters, blanks and capitals', () => {
    const url = ' DATA: Image/PNG ;name=a.png;Charset=utf-8; BASE64 ,iVBORw0KGgo=';
    const reference = read({ type: 'image_url', image_url: { url } });

    assert.deepEqual(reference.source, { kind: 'base64', text: 'iVBORw0KGgo=' });
    assert.equal(reference.declaredType, 'image/png');
  });

  for (const [name, start, type] of [
    ['PNG', 'iVBORw0KGgoAAAANSUhEUg', 'image/png'],
    ['JPEG', '/9j/4AAQSkZJRgABAQ', 'image/jpeg'],
    ['GIF', 'R0lGODlhAQABAIAAAA', 'image/gif'],
    ['WebP', 'UklGRiIAAABXRUJQ', 'image/webp'],
  ] as const) {
    it(`tells who sends ${name} in base64 alone what to send, however large it is`, () => {
      for (const text of [start, start.repeat(1000), `${start}\n${start}==`]) {
        const error = refusalOf(() => read({ type: 'image_url', image_url: { url: text } }));

        assert.match(error.message, /must be a data:, http.* not base64 alone; send data:/);
        assert.ok(error.message.includes(`send data:${type};base64,`), error.message);
        assert.ok(error.message.length < 300);
      }
    });
  }

  it('leaves other parts alone', () => {
    assert.equal(mediaReference({ part: { type: 'text', text: 'a' }, at: AT }), undefined);
  });

  const url = (value: unknown) => ({ type: 'image_url', image_url: { url: value } });
  for (const [what, part, param, message] of [
    ['a missing image_url', { type: 'image_url' }, 'image_url', /object with a url/],
    ['a list as image_url', { type: 'image_url', image_url: [] }, 'image_url', /object with a url/],
    ['an image_url without url', { type: 'image_url', image_url: {} }, 'image_url.url', /as text/],
    ['a url that is a number', url(1), 'image_url.url', /as text/],
    ['an empty url', url(''), 'image_url.url', /data:, http/],
    ['a relative url', url('/a.png'), 'image_url.url', /data:, http/],
    ['bare base64 as url', url('iVBORw0KGgo='), 'image_url.url', /data:, http/],
    ['a scheme of its own', url('ftp://example.com/a.png'), 'image_url.url', /data:, http/],
    ['an unparsable host', url('http://[::1%25lo]/'), 'image_url.url', /data:, http/],
    ['an endless url', url(`https://e.com/${'a'.repeat(9000)}`), 'image_url.url', /8192/],
    ['a data URL without base64', url('data:image/png,abc'), 'image_url.url', /base64 data URL/],
    [
      'a data URL without a comma',
      url('data:image/png;base64'),
      'image_url.url',
      /base64 data URL/,
    ],
    [
      'a detail that is a number',
      { type: 'image_url', image_url: { url: 'data:;base64,AAAA', detail: 1 } },
      'image_url.detail',
      /must be text/,
    ],
    ['a missing input_audio', { type: 'input_audio' }, 'input_audio', /data and format/],
    [
      'audio data that is no text',
      { type: 'input_audio', input_audio: { data: 1 } },
      'input_audio.data',
      /base64 text/,
    ],
    [
      'an audio format that is no text',
      { type: 'input_audio', input_audio: { data: 'AAAA', format: 1 } },
      'input_audio.format',
      /must be text/,
    ],
    ['a missing audio_url', { type: 'audio_url' }, 'audio_url', /object with a url/],
  ] as const) {
    it(`refuses ${what}, naming the field`, () => {
      const error = refusalOf(() => read(part));

      assert.equal(error.reason, 'INVALID_REQUEST');
      assert.equal(error.param, `${AT}.${param}`);
      assert.match(error.message, message);
      assert.ok(error.message.startsWith(`${AT}.${param} `));
    });
  }
});
