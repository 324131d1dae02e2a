import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { otlpTarget, targetName } from '#mesh/otlp/otlp-target.ts';
import { refusalOf } from '#test/refusal.ts';

for (const signal of ['traces', 'metrics'] as const) {
  const NAME = signal.toUpperCase();
  const URL = `http://collector:4318/v1/${signal}`;
  const withUrl = (url: string) =>
    signal === 'traces' ? { otlpTracesEndpoint: url } : { otlpMetricsEndpoint: url };
  const byGrpc =
    signal === 'traces'
      ? ({ otlpTracesProtocol: 'grpc' } as const)
      : ({ otlpMetricsProtocol: 'grpc' } as const);
  const target = (options: Parameters<typeof otlpTarget>[1], env: Record<string, string> = {}) =>
    otlpTarget(signal, options, env);

  describe(`otlpTarget of ${signal}`, () => {
    it('is none without a key or a variable', () => {
      assert.equal(target({}), undefined);
    });

    it('is the key, whatever the variables say', () => {
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other:4318',
        [`OTEL_${NAME}_EXPORTER`]: 'none',
      };

      const found = target({ ...withUrl(URL), ...byGrpc }, env);

      assert.deepEqual(found, { url: URL, protocol: 'grpc' });
    });

    it('is named in logs without user, password and query', () => {
      const found = target(withUrl('https://me:secret@collector:4318/v1?key=secret'));

      assert(found !== undefined);
      assert.equal(targetName(found), 'https://collector:4318/v1 by http/protobuf');
    });

    it('is left to the variables, with the protocol that they name', () => {
      for (const env of [
        { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other:4318' },
        { [`OTEL_EXPORTER_OTLP_${NAME}_ENDPOINT`]: URL },
        { [`OTEL_${NAME}_EXPORTER`]: 'otlp' },
      ]) {
        assert.deepEqual(target({}, env), { url: undefined, protocol: 'http/protobuf' });
        const json = { ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' };
        assert.equal(target({}, json)?.protocol, 'http/json');
        const grpc = { ...json, [`OTEL_EXPORTER_OTLP_${NAME}_PROTOCOL`]: 'grpc' };
        assert.equal(target({}, grpc)?.protocol, 'grpc');
      }
    });

    it('is none where the variables switch it off, or ask for the other signal alone', () => {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: URL };
      const other = signal === 'traces' ? 'METRICS' : 'TRACES';

      assert.equal(target({}, { ...env, [`OTEL_${NAME}_EXPORTER`]: 'none' }), undefined);
      assert.equal(target(withUrl(URL), { OTEL_SDK_DISABLED: 'true' }), undefined);
      assert.equal(target({}, { [`OTEL_EXPORTER_OTLP_${other}_ENDPOINT`]: URL }), undefined);
    });

    it('refuses what it cannot send to, naming the key or the variable', () => {
      const refusals = [
        () => target(withUrl('collector:4318')),
        () => target({}, { [`OTEL_${NAME}_EXPORTER`]: 'zipkin' }),
        () => target(withUrl(URL), { OTEL_EXPORTER_OTLP_PROTOCOL: 'udp' }),
      ].map((attempt) => refusalOf(attempt).message);

      assert.deepEqual(refusals, [
        `key "otlp-${signal}-endpoint": must be an http or https URL, such as http://collector:4318`,
        `the variable OTEL_${NAME}_EXPORTER: must be otlp or none, got zipkin`,
        'the variable OTEL_EXPORTER_OTLP_PROTOCOL: must be one of http/protobuf, http/json, grpc, got udp',
      ]);
    });
  });
}
