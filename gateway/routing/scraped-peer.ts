import type { Peer, PeerKind } from '#mesh/peers/peer.ts';

/** A process that no request goes to, asked only for its metrics: an encoder. */
export type ScrapedPeer = Peer<undefined, undefined>;

export const SCRAPED_KIND: PeerKind<undefined, undefined> = {
  title: 'encoder',
  channelUse: 'tokens',
  open: () => undefined,
  describe: async () => undefined,
};
