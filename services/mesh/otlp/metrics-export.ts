// It loads OpenTelemetry, so it is imported only where metrics are sent.
import type { HrTime } from '@opentelemetry/api';
import { OTLPMetricExporter as GrpcExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtobufExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import type { metrics } from '@opentelemetry/sdk-node';
import { systemClock } from '#mesh/async/clock.ts';
import { Outage } from '#mesh/log/outage.ts';
import type { Counter } from '#mesh/metrics.ts';
import { VERSION } from '#mesh/process/instance.ts';
import { PROCESS_METRICS } from '#mesh/process/process-metrics.ts';
import { metricData } from './metric-data.ts';
import type { MetricsExport, MetricsExportParts } from './metrics-sending.ts';
import type { OtlpProtocol } from './otlp-options.ts';
import { lastMessage, numberIn, otlpResource } from './otlp-resource.ts';
import type { OtlpTarget } from './otlp-target.ts';

/** Milliseconds between two messages, as OpenTelemetry has it. */
const INTERVAL_MS = 60_000;

type Exporter = Pick<metrics.PushMetricExporter, 'export' | 'shutdown'>;

const EXPORTERS: Readonly<
  Record<OtlpProtocol, new (config: { readonly url?: string }) => Exporter>
> = {
  'http/protobuf': ProtobufExporter,
  'http/json': JsonExporter,
  grpc: GrpcExporter,
};

/** Sends the metrics of a registry to a collector again and again, as they are at that moment. */
export class OtlpMetricsExport implements MetricsExport {
  readonly #exporter: Exporter;
  readonly #parts: MetricsExportParts;
  readonly #resource: metrics.ResourceMetrics['resource'];
  readonly #startTime = hrTime(Date.now() - process.uptime() * 1000);
  readonly #outage: Outage;
  readonly #exports: Counter;
  readonly #timer: NodeJS.Timeout;
  #sending: Promise<void> | undefined;

  constructor({ url, protocol }: OtlpTarget, parts: Required<MetricsExportParts>) {
    const { role, registry, log, env } = parts;
    this.#parts = parts;
    this.#exporter = new EXPORTERS[protocol](url === undefined ? {} : { url });
    this.#resource = otlpResource(role);
    this.#outage = new Outage(log, systemClock);
    this.#exports = registry.counter(
      'metric_exports',
      'Messages with all metrics for a collector, by result: taken, or lost.',
    );
    for (const result of ['taken', 'lost']) this.#exports.add(0, { result });
    const intervalMs = numberIn(env, 'OTEL_METRIC_EXPORT_INTERVAL') || INTERVAL_MS;
    this.#timer = setInterval(() => void this.#send(), intervalMs).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const end = async () => {
      await this.#sending;
      await this.#send();
      await this.#exporter.shutdown();
    };
    await lastMessage(end());
  }

  /** Sends once, unless the message before is still under way. */
  #send(): Promise<void> {
    this.#sending ??= this.#export().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  #export(): Promise<void> {
    return new Promise((resolve) => {
      this.#exporter.export(this.#message(), ({ code, error }) => {
        // `ExportResultCode.SUCCESS`, whose package is none of ours.
        const isTaken = code === 0;
        this.#exports.add(1, { result: isTaken ? 'taken' : 'lost' });
        if (isTaken) this.#outage.over('metrics reach the collector again');
        else {
          const why = error ?? new Error('the collector refused them');
          this.#outage.failed('metrics do not reach the collector', why);
        }
        resolve();
      });
    });
  }

  #message(): metrics.ResourceMetrics {
    const time = { startTime: this.#startTime, endTime: hrTime(Date.now()) };
    const found = this.#parts.registry.collect().map((family) => {
      const prefix = PROCESS_METRICS.has(family.name) ? '' : 'autoglm.';
      return metricData(family, `${prefix}${family.name}`, time);
    });
    const scope = { name: 'autoglm-mesh', version: VERSION };
    return { resource: this.#resource, scopeMetrics: [{ scope, metrics: found }] };
  }
}

/** Splits milliseconds since 1970 into seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
