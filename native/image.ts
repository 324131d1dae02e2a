// Pictures as vision towers read them.

import { addon } from './addon.ts';
import type { ResizeRequest } from './encoder-contract.ts';

/** Pillow's antialiased bicubic, bit for bit: `[toHeight, toWidth, 3]`. Encoders do it themselves. */
export function resizeImage(request: ResizeRequest): Promise<Uint8Array> {
  return addon().resizeImage(request);
}
