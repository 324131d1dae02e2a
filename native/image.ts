// Resizes pictures as vision towers do.

import { addon } from './addon.ts';
import type { ResizeRequest } from './encoder-contract.ts';

/**
 * Resizes with Pillow's antialiased bicubic filter, bit for bit, to `[toHeight, toWidth, 3]`.
 * Encoders resize their pictures themselves.
 */
export function resizeImage(request: ResizeRequest): Promise<Uint8Array> {
  return addon().resizeImage(request);
}
