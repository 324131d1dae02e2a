import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { loadProtos } from '#mesh/grpc/reflection.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { programArgs } from '#test/program.ts';
import { FakeDecoder, scripted } from '#test/unit/llm-backbone/fake-decoder.ts';
import { golden, vocabulary } from '#test/unit/llm-backbone/text-model.ts';
import { startTestBackbone, type TestBackbone } from './harness.ts';

const answer = golden.tokens.find(({ text }) => text.startsWith('你好'));

describe('an internal client', () => {
  let backbone: TestBackbone;
  before(async () => {
    const eos = vocabulary.addedId('<|user|>') ?? -1;
    const nextToken = scripted([...(answer?.ids ?? []), eos]);
    backbone = await startTestBackbone(new FakeDecoder({ nextToken }));
  });
  after(() => backbone.close());

  it('streams an answer with the shipped example', async () => {
    const args = [...programArgs('deploy/examples/generate'), backbone.backbone.address, 'hi'];

    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: PACKAGE_ROOT });

    assert.match(stdout, /^你好，世界！打开设置。\n\(\d+ prompt and \d+ completion tokens\)\n$/);
  });

  it('generates with nothing but the protos', async () => {
    const definition = loadProtos()['autoglm.llm.v1.LlmBackboneService'];
    assert.ok(definition !== undefined && !('format' in definition));
    const Service = makeGenericClientConstructor(definition, 'LlmBackboneService');
    const client = new Service(backbone.backbone.address, credentials.createInsecure());
    const start = { prompt: { tokens: { token_ids: [5, 6] } }, sampling: { temperature: 0 } };

    const call = client['Generate']?.();
    call.write({ start });
    call.end();
    let text = '';
    for await (const { delta } of call) text += delta?.choices[0]?.text ?? '';

    assert.equal(text, answer?.text);
    client.close();
  });

  it('lists the services by reflection', async () => {
    const file = join(
      PACKAGE_ROOT,
      'node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto',
    );
    const definition = loadSync(file, { keepCase: true });
    const service = definition['grpc.reflection.v1.ServerReflection'];
    assert.ok(service !== undefined && !('format' in service));
    const Reflection = makeGenericClientConstructor(service, 'ServerReflection');
    const client = new Reflection(backbone.backbone.address, credentials.createInsecure());

    const call = client['ServerReflectionInfo']?.();
    call.write({ list_services: '' });
    call.end();
    const names: string[] = [];
    for await (const { list_services_response } of call) {
      for (const { name } of list_services_response.service) names.push(name);
    }

    assert.ok(names.includes('autoglm.llm.v1.LlmBackboneService'));
    assert.ok(names.includes('grpc.health.v1.Health'));
    client.close();
  });
});
