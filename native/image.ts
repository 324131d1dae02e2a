// Pictures as vision towers read them.

import { addon } from './addon.ts';

export interface ResizeRequest {
  /** `[height, width, 3]`, 8-bit RGB. */
  readonly rgb: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly toHeight: number;
  readonly toWidth: number;
}

/** Pillow's antialiased bicubic, bit for bit: `[toHeight, toWidth, 3]`. Encoders do it themselves. */
export function resizeImage(request: ResizeRequest): Promise<Uint8Array> {
  return addon().resizeImage(request);
}
