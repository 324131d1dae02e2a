import type { Labels } from '#mesh/metrics.ts';
import { MetricKind, type MetricSample } from '#protos/autoglm/mesh/v1/instance.ts';

export interface PeerFlagOptions<P> {
  readonly name: string;
  readonly help: string;
  /** Label that names a peer by its address. */
  readonly label: string;
  readonly peers: () => readonly P[];
  /** Tells what is so, or not, of a peer. */
  readonly isSet: (peer: P) => boolean;
  readonly labels?: Labels;
}

/** Shows a fact about each peer: 1 or 0, labelled with its address. */
export class PeerFlag<P extends { readonly address: string }> {
  readonly kind = MetricKind.METRIC_KIND_GAUGE;
  readonly name: string;
  readonly help: string;
  readonly #options: PeerFlagOptions<P>;

  constructor(options: PeerFlagOptions<P>) {
    this.name = options.name;
    this.help = options.help;
    this.#options = options;
  }

  collect(): MetricSample[] {
    const { label, labels, peers, isSet } = this.#options;
    return peers().map((peer) => ({
      suffix: '',
      labels: { [label]: peer.address, ...labels },
      value: Number(isSet(peer)),
    }));
  }
}
