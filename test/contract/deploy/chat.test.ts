import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { codePath } from '#deploy/local/code-path.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { within } from '#test/bounded.ts';
import { PROGRAM_FLAGS } from '#test/program.ts';

const MEDIA = join(PACKAGE_ROOT, 'deploy/models/phone-nano/media');

const TAP = '<think>It is at the top.</think><answer>do(action="Tap", element=[833,145])</answer>';

/** Opens a terminal, of util-linux. */
const SCRIPT = 'script';
const hasTerminal = spawnSync(SCRIPT, ['--version']).error === undefined;

/** Writes an answer of one piece; without its end the stream breaks off. */
function answer(response: ServerResponse, content: string, isWhole: boolean): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
  if (isWhole) response.end('data: [DONE]\n\n');
  else setImmediate(() => response.destroy());
}

describe('autoglm chat', () => {
  let server: Server;
  let url = '';
  const bodies: { messages: { role: string; content: unknown }[] }[] = [];
  const keys: (string | undefined)[] = [];
  before(async () => {
    server = createServer((request, response) => {
      keys.push(request.headers.authorization);
      void text(request).then((json) => {
        const body = JSON.parse(json);
        bodies.push(body);
        const question = JSON.stringify(body.messages.at(-1).content);
        const content = question.includes('camera') ? TAP : 'fine';
        answer(response, content, !question.includes('break'));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert(typeof address === 'object' && address !== null);
    url = `127.0.0.1:${address.port}`;
  });
  after(() => server.close());

  function chatFlags(more: readonly string[] = []): readonly string[] {
    const args = JSON.stringify(['chat', '--url', url, ...more]);
    const main = JSON.stringify(codePath('deploy/cli/main'));
    const script = `import(${main}).then((m) => m.runCli(${args}))`;
    return [...PROGRAM_FLAGS, '-e', script];
  }

  /** Chats in a terminal, without colours; resolves to what it shows. */
  async function chatInTerminal(lines: readonly string[], more: readonly string[] = []) {
    const command = [process.execPath, ...chatFlags(more)].map(shellQuoted).join(' ');
    const child = spawn(SCRIPT, ['-q', '-e', '-c', command, '/dev/null'], {
      cwd: PACKAGE_ROOT,
      env: { ...process.env, NO_COLOR: '1' },
    });
    // It stays open: at the end of its input the terminal may miss the end of what runs in it.
    child.stdin.write(`${lines.join('\n')}\n`);
    try {
      const shown = await within(text(child.stdout), { what: 'the end of a chat in a terminal' });
      return shown.replaceAll('\r\n', '\n');
    } finally {
      child.kill('SIGKILL');
    }
  }

  async function chat(lines: readonly string[], env: Readonly<Record<string, string>> = {}) {
    bodies.length = 0;
    const child = spawn(process.execPath, chatFlags(), {
      cwd: PACKAGE_ROOT,
      env: { ...process.env, ...env },
    });
    child.stdin.end(`${lines.join('\n')}\n`);
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { stdout, stderr };
  }

  it('does not keep a question whose answer broke off, nor its picture', async () => {
    const { stdout, stderr } = await chat([
      `/image ${join(MEDIA, 'image8.png')}`,
      'please break',
      'well?',
      'and?',
    ]);

    assert.equal(stdout, 'fine\nfine\nfine\n');
    assert.equal(stderr, 'autoglm chat: the answer broke off; it is not kept\n');
    assert.deepEqual(bodies.at(-1)?.messages, [
      { role: 'user', content: 'well?' },
      { role: 'assistant', content: 'fine' },
      { role: 'user', content: 'and?' },
    ]);
  });

  it('sends pictures and recordings with the next message, an empty one too', async () => {
    await chat([
      `/image '${join(MEDIA, 'image8.png')}'`,
      'look',
      '/new',
      `/audio ${join(MEDIA, 'audio77.wav')}`,
      '',
    ]);

    const [look, listen] = bodies.map(({ messages }) => messages);
    assert.match(JSON.stringify(look), /"image_url":\{"url":"data:image\/png;base64,iVBOR/);
    assert.match(JSON.stringify(look), /\{"type":"text","text":"look"\}/);
    assert.equal(listen?.length, 1);
    assert.match(JSON.stringify(listen), /"input_audio":\{"data":"UklGR.*","format":"wav"\}/);
  });

  it('says what is wrong with a file or a command, and goes on', async () => {
    const { stdout, stderr } = await chat(['/image /nowhere.png', '/imgae x', '/image', 'well?']);

    assert.match(stderr, /no such file.*\n.*no command \/imgae; did you mean "\/image"\?\n/);
    assert.equal(stdout, 'fine\n');
  });

  it('gives a pipe the answer as the model wrote it', async () => {
    assert.equal((await chat(['the camera?'])).stdout, `${TAP}\n`);
  });

  const skip = hasTerminal ? false : `there is no ${SCRIPT}`;
  it('tells an action in words in a terminal, and what the model wrote when asked', {
    skip,
  }, async () => {
    const lines = ['the camera?', '/raw', '/exit'];

    const shown = await chatInTerminal(lines);
    const raw = await chatInTerminal(['the camera?', '/exit'], ['--raw']);

    assert.match(shown, /It is at the top\.\n→ Tap at 833, 145 of 1000\n/);
    assert.equal(shown.split(TAP).length, 2, shown);
    assert.equal(raw.split(TAP).length, 2, raw);
    assert(!raw.includes('→'), raw);
  });

  it("presents the first of the variable's keys", async () => {
    await chat(['well?'], { AUTOGLM_API_KEY: 'one, two' });

    assert.equal(keys.at(-1), 'Bearer one');
  });
});

/** Writes a word as a shell takes it. */
function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
