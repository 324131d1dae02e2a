import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { Outage } from '#mesh/log/outage.ts';
import type { Counter, MetricRegistry } from '#mesh/metrics.ts';

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0];

/** `ExportResultCode.SUCCESS`, whose package is none of ours. */
const SUCCESS: ExportResult['code'] = 0;

export interface ExportQueueOptions {
  readonly registry: MetricRegistry;
  /** Most spans that wait to be sent; the size of the queue in front of this exporter. */
  readonly maxQueued: number;
  readonly outage: Outage;
}

/** An exporter that counts the spans which are sent and lost, and knows how many wait for it. */
export class ExportQueue implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #options: ExportQueueOptions;
  readonly #exported: Counter;
  readonly #dropped: Counter;
  #numQueued = 0;

  constructor(exporter: SpanExporter, options: ExportQueueOptions) {
    this.#exporter = exporter;
    this.#options = options;
    const { registry } = options;
    this.#exported = registry.counter(
      'trace_spans_exported',
      'Spans that the collector has taken.',
    );
    this.#dropped = registry.counter(
      'trace_spans_dropped',
      'Spans lost, by the reason: queue_full, or export_failed.',
    );
    // Begun at 0, so that the first loss is a rise.
    for (const reason of ['queue_full', 'export_failed']) this.#dropped.add(0, { reason });
  }

  /** Tells whether one more span has room, and counts it as waiting or as dropped. */
  takes(): boolean {
    if (this.#numQueued >= this.#options.maxQueued) {
      this.#dropped.add(1, { reason: 'queue_full' });
      return false;
    }
    this.#numQueued += 1;
    return true;
  }

  export(spans: ReadableSpan[], onResult: (result: ExportResult) => void): void {
    const { outage } = this.#options;
    this.#numQueued -= spans.length;
    this.#exporter.export(spans, (result) => {
      if (result.code === SUCCESS) {
        this.#exported.add(spans.length);
        outage.over('spans reach the collector again');
      } else {
        this.#dropped.add(spans.length, { reason: 'export_failed' });
        outage.failed('spans are lost', result.error ?? new Error('the collector refused them'));
      }
      // The processor would report a failure to a global handler that writes to standard error.
      onResult({ code: SUCCESS });
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }
}
