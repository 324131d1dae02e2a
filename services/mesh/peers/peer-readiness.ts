import type { Labels } from '#mesh/metrics.ts';
import { MetricKind, type MetricSample } from '#protos/autoglm/mesh/v1/instance.ts';

export interface PeerReadinessOptions {
  readonly name: string;
  readonly help: string;
  /** Label that names a peer by its address. */
  readonly label: string;
  readonly peers: () => readonly { readonly address: string; readonly isReady: boolean }[];
  readonly labels?: Labels;
}

/** Shows which peers can be asked: 1 or 0 for each, labelled with its address. */
export class PeerReadiness {
  readonly kind = MetricKind.METRIC_KIND_GAUGE;
  readonly name: string;
  readonly help: string;
  readonly #options: PeerReadinessOptions;

  constructor(options: PeerReadinessOptions) {
    this.name = options.name;
    this.help = options.help;
    this.#options = options;
  }

  collect(): MetricSample[] {
    const { label, labels, peers } = this.#options;
    return peers().map(({ address, isReady }) => ({
      suffix: '',
      labels: { [label]: address, ...labels },
      value: isReady ? 1 : 0,
    }));
  }
}
