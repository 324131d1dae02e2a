import type { Peer, PeerKind } from '#mesh/peers/peer.ts';

/** An encoder, which gets no requests from the gateway and is asked only for its metrics. */
export type ScrapedPeer = Peer<undefined, undefined>;

export const SCRAPED_KIND: PeerKind<undefined, undefined> = {
  title: 'encoder',
  channelUse: 'tokens',
  open: () => undefined,
  describe: async () => undefined,
};
