interface ScanBand {
  /** Index of the one coefficient, 0 to 63 in zigzag order. */
  readonly coefficient: number;
  /** Lowest bit that earlier scans of the coefficient gave; 0: this is its first. */
  readonly highBit: number;
  readonly lowBit: number;
}

/** One end of a band covers at most so many blocks (EOB14 and 14 more ones). */
const MAX_RUN_BLOCKS = 32_767;
const NUM_COEFFICIENTS = 64;
const TOP_BIT = 13;

/**
 * Makes a gray progressive JPEG image whose scans say that nothing changes: 30 bytes each, and a
 * decoder visits every block for each of them. A coefficient has at most 14 scans, one for a bit.
 */
export function jpegOfScans(width: number, height: number, numScans: number): Buffer {
  const numBlocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  const parts = [
    Buffer.from([0xff, 0xd8]),
    segment(0xdb, [0, ...Array<number>(NUM_COEFFICIENTS).fill(1)]),
    segment(0xc2, [8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11, 0]),
    // The only code of both tables is one bit: no difference of DC, an end of band of AC.
    segment(0xc4, [0x00, 1, ...Array<number>(15).fill(0), 0]),
    segment(0xc4, [0x10, 1, ...Array<number>(15).fill(0), 0xe0]),
    scan({ coefficient: 0, highBit: 0, lowBit: 0 }, Buffer.alloc(Math.ceil(numBlocks / 8))),
  ];
  const bands = scanBands().slice(0, numScans - 1);
  for (const band of bands) parts.push(scan(band, endsOfBands(numBlocks)));
  return Buffer.concat([...parts, Buffer.from([0xff, 0xd9])]);
}

function scanBands(): ScanBand[] {
  const bands: ScanBand[] = [];
  for (let coefficient = 1; coefficient < NUM_COEFFICIENTS; coefficient++) {
    for (let lowBit = TOP_BIT; lowBit >= 0; lowBit--) {
      bands.push({ coefficient, highBit: lowBit === TOP_BIT ? 0 : lowBit + 1, lowBit });
    }
  }
  return bands;
}

function segment(code: number, content: readonly number[]): Buffer {
  const length = content.length + 2;
  return Buffer.from([0xff, code, length >> 8, length & 255, ...content]);
}

function scan({ coefficient, highBit, lowBit }: ScanBand, data: Buffer): Buffer {
  const head = [1, 1, 0, coefficient, coefficient, (highBit << 4) | lowBit];
  return Buffer.concat([segment(0xda, head), data]);
}

/** Codes that the band of every block is empty. */
function endsOfBands(numBlocks: number): Buffer {
  let bits = '';
  for (let left = numBlocks; left > 0; left -= MAX_RUN_BLOCKS) {
    // A run of 16384 + n blocks; a longer one than there are blocks ends with them.
    bits += `0${'1'.repeat(14)}`;
  }
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  const bytes = padded.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? [];
  // A byte of ones is followed by one of zeros.
  return Buffer.from(bytes.flatMap((byte) => (byte === 0xff ? [byte, 0] : [byte])));
}
