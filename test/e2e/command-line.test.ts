import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { autoglm, type Mesh, property, startMesh, writeConfig } from './mesh.ts';

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
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  it('status shows every process as ready', async () => {
    const { status, stdout } = await autoglm(['status', '--config', mesh.config]);

    assert.equal(status, 0);
    assert.match(stdout, /^llm-backbone +127\.0\.0\.1:\d+ +ready +cpu.*phone-nano/m);
    assert.match(stdout, /^vision-encoder +127\.0\.0\.1:\d+ +ready +cpu:\d.*phone-nano/m);
    assert.match(stdout, /^speech-encoder +127\.0\.0\.1:\d+ +ready +cpu:\d.*phone-nano/m);
    assert.match(stdout, /^gateway +http:\/\/127\.0\.0\.1:\d+ +ready/m);
  });

  it('status --json says the same to programs', async () => {
    const { stdout } = await autoglm(['status', '--json', '--config', mesh.config]);

    assert.equal(property(JSON.parse(stdout), 'ready'), true);
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

  for (const command of ['serve', 'chat', 'status', 'call']) {
    it(`${command} --help lists its options`, async () => {
      const { status, stdout } = await autoglm([command, '--help']);

      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^Usage: autoglm ${command}`));
      assert.match(stdout, /Options \[default\]:\n {2}--/);
    });
  }

  it('status fails when nothing runs', async () => {
    const { config } = await writeConfig();
    const { status, stdout } = await autoglm(['status', '--config', config]);

    assert.equal(status, 1);
    assert.match(stdout, /unreachable/);
  });

  it('serve refuses a second tensor-parallel device with the reason', async () => {
    const { status, stdout } = await autoglm(['serve', '--tensor-parallel-size', '2']);

    assert.equal(status, 1);
    assert.match(stdout, /tensor-parallel-size/);
  });

  it('serve names an unknown flag', async () => {
    const { status, stderr } = await autoglm(['serve', '--prot', '9000']);

    assert.equal(status, 1);
    assert.match(stderr, /--prot/);
  });
});
