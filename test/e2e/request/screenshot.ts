import sharp from 'sharp';

const WIDTH = 1080;
const HEIGHT = 2400;
const TILE = { width: 180, height: 200 } as const;

/**
 * Makes a phone's screen as PNG, 1080×2400 and about a megabyte: the upper half is noisy like a
 * photograph, the lower half has flat tiles like icons. Different seeds give different screens.
 */
export function screenshot(seed: number): Promise<Buffer> {
  const pixels = Buffer.alloc(WIDTH * HEIGHT * 3);
  let noise = seed;
  let at = 0;
  for (let y = 0; y < HEIGHT; y++) {
    const isPhotograph = y < HEIGHT / 2;
    for (let x = 0; x < WIDTH; x++) {
      const tile = Math.floor(x / TILE.width) * 40 + Math.floor(y / TILE.height) * 20 + seed;
      noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) >>> 0;
      const grain = isPhotograph ? noise >>> 28 : 0;
      for (let channel = 0; channel < 3; channel++) {
        pixels[at++] = ((tile + channel * 10) % 200) + grain;
      }
    }
  }
  const raw = { width: WIDTH, height: HEIGHT, channels: 3 } as const;
  return sharp(pixels, { raw }).png().toBuffer();
}
