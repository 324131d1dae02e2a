import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { PHONE_NANO } from '#test/e2e/request/phone-cases.ts';
import { scratchFolder } from '#test/scratch-folder.ts';
import { autoglm, type Mesh, property, startMesh, writeConfig } from './mesh.ts';

/** Open-AutoGLM's README starts its server with these flags, for a larger model. */
const OPEN_AUTOGLM = [
  ...['--served-model-name', 'autoglm-phone-9b', '--allowed-local-media-path', '/'],
  ...['--mm-encoder-tp-mode', 'data', '--mm_processor_cache_type', 'shm'],
  ...['--mm_processor_kwargs', '{"max_pixels":5000000}', '--max-model-len', '4096'],
  ...['--chat-template-content-format', 'string', '--limit-mm-per-prompt', '{"image":10}'],
];

const WHO_ARE_YOU = GOLDEN_TEXTS[0];
const GENERATE = JSON.stringify({
  start: {
    prompt: { chat: { messages: [{ role: 'user', text: '你是谁?' }] } },
    sampling: { temperature: 0 },
  },
});

/** Returns the text of a Generate call's responses, which are one JSON object per line. */
function generatedText(stdout: string): string {
  const events: unknown[] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const choices = events.map((event) => property(event, 'delta', 'choices'));
  return choices
    .flatMap((one) => (Array.isArray(one) ? one : []))
    .map((choice) => String(property(choice, 'text') ?? ''))
    .join('');
}

describe('autoglm against a running mesh', () => {
  let mesh: Mesh;
  let env: Readonly<Record<string, string>>;
  before(async () => {
    // No other mesh of this machine has left its state here.
    const home = scratchFolder('run');
    env = { XDG_RUNTIME_DIR: home, XDG_STATE_HOME: home, HOME: home };
    mesh = await startMesh({ env: { ...env, AUTOGLM_MAX_NUM_SEQS: '8' }, flags: OPEN_AUTOGLM });
  });
  after(() => mesh.stop());

  it('was started by the flags that Open-AutoGLM documents, with a word about two of them', async () => {
    const ignored = 'ignored, no meaning here: --mm-encoder-tp-mode, --mm-processor-cache-type';
    await mesh.lines.match(new RegExp(ignored));
    const models = await (await fetch(`${mesh.url}/v1/models`)).json();

    assert.equal(property(models, 'data', 0, 'id'), 'autoglm-phone-9b');
    assert.equal(property(models, 'data', 0, 'max_model_len'), 4096);
  });

  it('is found by status, chat and call without an address', async () => {
    const found = await autoglm(['status', '--json'], '', env);
    const said = await autoglm(['chat'], '你是谁?\n', env);
    const called = await autoglm(['call', 'InstanceService/GetStatus'], '', env);

    const addresses = property(JSON.parse(found.stdout), 'processes');
    assert(JSON.stringify(addresses).includes(`"address":"${mesh.url}"`));
    assert.equal(said.stdout, `${WHO_ARE_YOU?.answer}\n`);
    assert.match(called.stdout, /"role":"llm-backbone"/);
  });

  it('chat shows the model a picture', async () => {
    const lines = `/image ${join(PHONE_NANO, 'media/image8.png')}\nWhat apps do you see?\n`;
    const { stdout, stderr } = await autoglm(['chat'], lines, env);

    assert.equal(stderr, '');
    assert.match(stdout, /Video.*Music/);
  });

  it('status shows every process as ready', async () => {
    const { status, stdout } = await autoglm(['status', '--config', mesh.config]);

    assert.equal(status, 0);
    assert.match(stdout, /^llm-backbone +127\.0\.0\.1:\d+ +ready +0\+0\/8 +cpu.*phone-nano/m);
    assert.match(stdout, /^vision-encoder +127\.0\.0\.1:\d+ +ready +0\+0\/32 +cpu:\d.*phone-nano/m);
    assert.match(stdout, /^speech-encoder +127\.0\.0\.1:\d+ +ready +0\+0\/32 +cpu:\d.*phone-nano/m);
    assert.match(stdout, /^gateway +http:\/\/127\.0\.0\.1:\d+ +ready/m);
  });

  it('status --json says the same to programs', async () => {
    const { stdout } = await autoglm(['status', '--json', '--config', mesh.config]);

    assert.equal(property(JSON.parse(stdout), 'ready'), true);
  });

  it('top shows what each process does, and says when no gateway answers', async () => {
    const { status, stdout } = await autoglm(['top', '--once', '--config', mesh.config]);
    const away = await autoglm(['top', '--once', '--url', '127.0.0.1:1']);

    assert.equal(status, 0);
    assert.match(stdout, /^gateway \S+ ready {2}0\/\d+ requests .* first token /);
    assert.match(stdout, /\naddress +role +state +device +model +load +tokens\/s +kv +hits +up/);
    assert.match(stdout, /\n127\.0\.0\.1:\d+ +llm-backbone +ready +cpu\S* .* 0\+0\/8 /);
    assert.equal(away.status, 1);
    assert.match(away.stderr, /no mesh answers at http:\/\/127\.0\.0\.1:1/);
  });

  it('chat answers the lines of standard input', async () => {
    const { status, stdout } = await autoglm(
      ['chat', '--url', mesh.url],
      '你是谁?\n/reset\nWho are you?\n/exit\nnever asked\n',
    );

    assert.equal(status, 0);
    assert.equal(stdout, `${GOLDEN_TEXTS[0]?.answer}\n${GOLDEN_TEXTS[1]?.answer}\n`);
  });

  it('chat fails with the reason when the mesh refuses', async () => {
    const { status, stderr } = await autoglm(
      ['chat', '--url', mesh.url, '--model', 'none'],
      'Hi\n',
    );

    assert.equal(status, 1);
    assert.match(stderr, /autoglm chat: 404: .*none/);
  });

  it('call runs a unary method under its short name', async () => {
    const address = ['--address', mesh.backboneAddress];
    const { status, stdout } = await autoglm([
      'call',
      'LlmBackboneService/GetModel',
      '{}',
      ...address,
    ]);

    assert.equal(status, 0);
    assert.match(stdout, /"fingerprint":"[0-9a-f]{64}"/);
  });

  it('call streams responses, one JSON object a line', async () => {
    const address = ['--address', mesh.backboneAddress];
    const { stdout } = await autoglm(['call', ...address, 'LlmBackboneService/Generate', GENERATE]);

    assert.equal(generatedText(stdout), WHO_ARE_YOU?.answer);
  });

  it('call reads messages from standard input', async () => {
    const args = [
      'call',
      '--config',
      mesh.config,
      'autoglm.llm.v1.LlmBackboneService/Generate',
      '-',
    ];
    const { stdout } = await autoglm(args, `${GENERATE}\n`);

    assert.equal(generatedText(stdout), WHO_ARE_YOU?.answer);
  });

  it("call prints a refusal's message", async () => {
    const args = ['call', '--address', mesh.backboneAddress, 'LlmBackboneService/Generate'];
    const { status, stderr } = await autoglm([...args, '{"start":{"model":"none"}}']);

    assert.equal(status, 1);
    assert.match(stderr, /none/);
  });
});

describe('autoglm without a mesh', () => {
  it('suggests the command that was meant', async () => {
    const { status, stderr } = await autoglm(['sreve']);

    assert.equal(status, 2);
    assert.match(stderr, /no command "sreve"; did you mean "serve"\?/);
  });

  for (const command of [
    'serve',
    'run gateway',
    'chat',
    'status',
    'top',
    'trace',
    'call',
    'verify',
  ]) {
    it(`${command} --help lists its options`, async () => {
      const { status, stdout } = await autoglm([...command.split(' '), '--help']);

      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^Usage: autoglm ${command}`));
      assert.match(stdout, /^ {2}--\S+ /m);
    });
  }

  it('status fails when nothing runs', async () => {
    const { config } = await writeConfig();
    const { status, stdout } = await autoglm(['status', '--config', config]);

    assert.equal(status, 1);
    const [columns, ...rows] = stdout.trimEnd().split('\n');
    assert.equal(
      columns?.replaceAll(/ +/g, ' '),
      'process address state load device model version pid uptimeS restarts metrics detail',
    );
    assert.equal(rows.length, 4);
    for (const row of rows) {
      assert.match(row, /^\S+ +(http:\/\/)?127\.0\.0\.1:\d+ +unreachable +nothing listens there$/);
    }
  });

  it('serve refuses more tensor-parallel ranks than cores with the reason', async () => {
    const { status, stdout } = await autoglm(['serve', '--tensor-parallel-size', '1000']);

    assert.equal(status, 1);
    assert.match(stdout, /tensor-parallel-size/);
  });

  it('run refuses an encoder on two devices with the reason', async () => {
    const model = ['--model', 'deploy/models/phone-nano'];
    const { status, stdout } = await autoglm([
      ...['run', 'vision-encoder', '--device', 'cpu:0,cpu:1', '--listen', '127.0.0.1:0'],
      ...model,
    ]);

    assert.equal(status, 1);
    assert.match(stdout, /key ..?device..?: got cpu:0,cpu:1, and a tower runs on one device/);
  });

  it('verify lists the checksums of a model and finds a byte that differs', async () => {
    const listed = await autoglm(['verify', 'test/testdata/glm4-tiny']);
    const folder = await mkdtemp(join(tmpdir(), 'verify-'));
    const list = join(folder, 'SHA256SUMS');
    await writeFile(list, listed.stdout);
    const same = await autoglm(['verify', 'test/testdata/glm4-tiny', '--against', list]);
    await writeFile(
      list,
      listed.stdout.replace(/^[0-9a-f]{64} {2}config/m, `${'0'.repeat(64)}  config`),
    );
    const other = await autoglm(['verify', 'test/testdata/glm4-tiny', '--against', list]);
    await rm(folder, { recursive: true });

    assert.match(listed.stdout, /^[0-9a-f]{64} {2}model\.safetensors$/m);
    assert.equal(same.status, 0, same.stderr);
    assert.equal(other.status, 1);
    assert.match(other.stderr, /config\.json: differs/);
  });

  it('serve names an unknown flag', async () => {
    const { status, stderr } = await autoglm(['serve', '--prot', '9000']);

    assert.equal(status, 1);
    assert.match(stderr, /--prot/);
  });
});
