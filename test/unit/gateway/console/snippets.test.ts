import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  type Attachment,
  type ChatOptions,
  chatBody,
  type Turn,
} from '#gateway/console/chat/conversation.ts';
import { chatSnippets, transcriptionSnippets } from '#gateway/console/chat/snippets.ts';
import { scratchFolder } from '#test/scratch-folder.ts';

const OPTIONS: ChatOptions = {
  model: 'phone-nano',
  system: '',
  isThinking: true,
  temperature: 0,
  maxTokens: undefined,
};
const PLACE = { origin: 'http://127.0.0.1:8000', needsKey: false };

function file(name: string, kind: Attachment['kind'] = 'image'): Attachment {
  const type = kind === 'image' ? 'image/png' : 'audio/wav';
  return { kind, name, type, bytes: Uint8Array.of(1, 2, 3), width: 1, height: 1 };
}

function asks(text: string, ...attachments: Attachment[]): Turn {
  return { role: 'user', text, attachments, isTranscription: false };
}

/** Runs a curl line in a folder; resolves to the arguments and the body that curl would get. */
function runCurl(line: string, folder: string): { args: string[]; body: unknown } {
  const curl = `curl() { for one in "$@"; do printf '%s\\0' "$one"; done; printf '\\n\\n'; cat; }\n`;
  const output = execFileSync('sh', ['-c', curl + line], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, AUTOGLM_API_KEY: 'secret' },
  });
  const [args = '', body = ''] = output.split('\0\n\n');
  return { args: args.split('\0'), body: JSON.parse(body) };
}

describe('the curl line of a chat', () => {
  it('sends exactly what the page sent, whatever the shell could take for its own', () => {
    const folder = scratchFolder('snippets');
    writeFileSync(join(folder, 'my-screen.png'), Uint8Array.of(1, 2, 3));
    const text = `it's "$HOME" \`id\` \\n $(id) 打开\nJSON\n# {x}`;
    const turns = [asks(text, file('my screen.png'))];

    const { args, body } = runCurl(chatSnippets(turns, OPTIONS, PLACE).curl, folder);

    assert.deepEqual(
      body,
      chatBody(turns, OPTIONS, () => 'AQID'),
    );
    assert(args.includes('http://127.0.0.1:8000/v1/chat/completions'));
  });

  it('names the key by its variable, and nothing without one', () => {
    const turns = [asks('hi')];
    const withKey = chatSnippets(turns, OPTIONS, { ...PLACE, needsKey: true });

    assert(runCurl(withKey.curl, tmpdir()).args.includes('Authorization: Bearer secret'));
    assert.match(withKey.python, /api_key=os\.environ\["AUTOGLM_API_KEY"\]/);
    assert.doesNotMatch(chatSnippets(turns, OPTIONS, PLACE).curl, /Authorization/);
  });
});

describe('the Python of a chat', () => {
  it('builds the same messages, with files read from beside it', () => {
    const turns = [asks('hi', file('a.png'), file('b.wav', 'audio'))];
    const options = { ...OPTIONS, maxTokens: 9, isThinking: false };

    const { python } = chatSnippets(turns, options, PLACE);

    assert.equal(
      python,
      `import base64

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")


def encoded(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()


stream = client.chat.completions.create(
    model="phone-nano",
    messages=[
        {
            "role": "user",
            "content": [
                {
                    "type": "image_url",
                    "image_url": {
                        "url": "data:image/png;base64," + encoded("a.png"),
                    },
                },
                {
                    "type": "input_audio",
                    "input_audio": {
                        "format": "wav",
                        "data": encoded("b.wav"),
                    },
                },
                {
                    "type": "text",
                    "text": "hi",
                },
            ],
        },
    ],
    temperature=0,
    max_tokens=9,
    stream=True,
    stream_options={"include_usage": True},
    extra_body={
        "enable_thinking": False,
        "return_reasoning": True,
    },
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
`,
    );
  });

  it('tells files apart that have one name', () => {
    const turns = [asks('one', file('s.png')), asks('two', file('s.png'), file('../s.png'))];

    const { python } = chatSnippets(turns, OPTIONS, PLACE);

    const names = [...python.matchAll(/encoded\("([^"]+)"\)/g)].map(([, name]) => name);
    assert.deepEqual(names, ['s.png', 's-2.png', 's-3.png']);
  });
});

describe('the snippets of a transcription', () => {
  it('send the file as a form', () => {
    const { curl, python } = transcriptionSnippets(file('x y.wav', 'audio'), 'phone-nano', PLACE);

    assert.match(curl, /v1\/audio\/transcriptions' \\\n {2}-F 'file=@x-y\.wav' \\\n {2}-F 'model=/);
    assert.match(python, /with open\("x-y\.wav", "rb"\) as file:/);
  });
});
