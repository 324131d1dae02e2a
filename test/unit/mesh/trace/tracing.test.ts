import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { otlpTarget } from '#mesh/trace/open-tracing.ts';
import { refusalOf } from '#test/refusal.ts';

const URL = 'http://collector:4318/v1/traces';

describe('otlpTarget', () => {
  it('is none without a key or a variable', () => {
    assert.equal(otlpTarget({}, {}), undefined);
  });

  it('is the key, whatever the variables say', () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other:4318', OTEL_TRACES_EXPORTER: 'none' };

    assert.deepEqual(otlpTarget({ otlpTracesEndpoint: URL, otlpTracesProtocol: 'grpc' }, env), {
      url: URL,
      protocol: 'grpc',
    });
  });

  it('is left to the variables, with the protocol that they name', () => {
    for (const env of [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other:4318' },
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: URL },
      { OTEL_TRACES_EXPORTER: 'otlp' },
    ]) {
      assert.deepEqual(otlpTarget({}, env), { url: undefined, protocol: 'http/protobuf' });
      const json = { ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' };
      assert.equal(otlpTarget({}, json)?.protocol, 'http/json');
      const grpc = { ...json, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc' };
      assert.equal(otlpTarget({}, grpc)?.protocol, 'grpc');
    }
  });

  it('is none where the variables switch it off', () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: URL };

    assert.equal(otlpTarget({}, { ...env, OTEL_TRACES_EXPORTER: 'none' }), undefined);
    const disabled = { OTEL_SDK_DISABLED: 'true' };
    assert.equal(otlpTarget({ otlpTracesEndpoint: URL }, disabled), undefined);
  });

  it('refuses what it cannot send to, naming the key or the variable', () => {
    const refusals = [
      () => otlpTarget({ otlpTracesEndpoint: 'collector:4318' }, {}),
      () => otlpTarget({}, { OTEL_TRACES_EXPORTER: 'zipkin' }),
      () => otlpTarget({ otlpTracesEndpoint: URL }, { OTEL_EXPORTER_OTLP_PROTOCOL: 'udp' }),
    ].map((attempt) => refusalOf(attempt).message);

    assert.deepEqual(refusals, [
      'key "otlp-traces-endpoint": must be an http or https URL, got collector:4318',
      'the variable OTEL_TRACES_EXPORTER: must be otlp or none, got zipkin',
      'the variable OTEL_EXPORTER_OTLP_PROTOCOL: must be one of http/protobuf, http/json, grpc, got udp',
    ]);
  });
});
