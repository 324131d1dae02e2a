import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { CHAT, errorOf, type Harness, startHarness } from './harness.ts';
import { WAV } from './media-files.ts';

const LONG = 'x'.repeat(5000);

describe('what a client wrote, in the answer that refuses it', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.close());

  const post = (path: string, body: unknown) => () => harness.post(path, body);
  const chat = (fields: object) => post('/v1/chat/completions', { ...CHAT, ...fields });
  const image = (url: string) => ({ type: 'image_url', image_url: { url } });
  const user = (part: object) => ({ messages: [{ role: 'user', content: [part] }] });
  const form = (name: string, value: string | Blob) => () => {
    const body = new FormData();
    body.append('file', new Blob([WAV]), 'a.wav');
    body.append(name, value);
    return fetch(`${harness.url}/v1/audio/transcriptions`, { method: 'POST', body });
  };

  const requests: Readonly<Record<string, () => Promise<Response>>> = {
    'a path': () => harness.get(`/${LONG}`),
    'a path that cannot be decoded': () => harness.get(`/%E0%A4%A${LONG}`),
    'a path asked with another method': () =>
      harness.get(`/v1/chat/completions${'/'.repeat(5000)}`),
    'the name of a model': chat({ model: LONG }),
    'the name of a model in a path': () => harness.get(`/v1/models/${LONG}`),
    'a role': chat({ messages: [{ role: LONG, content: '' }] }),
    'the type of a part': chat(user({ type: LONG })),
    'a URL': chat(user(image(`ftp://${LONG}`))),
    'the host of a URL': chat(user(image(`http://${LONG}/`))),
    'the type of a data URL': chat(user(image(`data:image/${LONG};base64,AAAA`))),
    'a format of audio': chat(
      user({ type: 'input_audio', input_audio: { format: LONG, data: 'AAAA' } }),
    ),
    'a number': chat({ temperature: LONG }),
    'a switch': chat({ stream: LONG }),
    'an effort': chat({ reasoning_effort: LONG }),
    'an option of preprocessing': chat({ mm_processor_kwargs: { [LONG]: 1 } }),
    'a token id of a bias': chat({ logit_bias: { [LONG]: 1 } }),
    'a token id': post('/detokenize', { tokens: [LONG] }),
    'a field of a form': form(LONG, 'x'),
    'a format of transcriptions': form('response_format', LONG),
    'a language': form('language', `${LONG}!`),
  };
  for (const [what, request] of Object.entries(requests)) {
    it(`is repeated to 200 characters: ${what}`, async () => {
      const answer = await request();

      assert(answer.status >= 400 && answer.status < 500, `${answer.status}`);
      const { message, param } = await errorOf(answer);
      assert(message.length <= 1024, `${message.length} characters`);
      assert.doesNotMatch(message, /[x/]{201}/);
      assert((param ?? '').length <= 200);
    });
  }

  it('is cut where a backbone did not cut it', async () => {
    harness.backbone.script = async function* () {
      yield* [];
      throw new MeshError('INVALID_REQUEST', LONG, { param: LONG });
    };

    const { message, param } = await errorOf(await harness.post('/v1/chat/completions', CHAT));

    assert(message.length <= 1024, `${message.length} characters`);
    assert((param ?? '').length <= 200);
  });
});
