/** Says that a reader came to the end of its bytes within something it was reading. */
export class EndOfBits extends Error {}

/** Reads numbers of any width from bytes, the highest bit first. */
export class BitReader {
  readonly #bytes: Buffer;
  /** Position, bits. */
  #at: number;

  constructor(bytes: Buffer, atByte: number) {
    this.#bytes = bytes;
    this.#at = atByte * 8;
  }

  /** Where the next whole byte starts. */
  get byteAt(): number {
    return Math.ceil(this.#at / 8);
  }

  /** Reads an unsigned number of 0 to 32 bits. */
  unsigned(numBits: number): number {
    if (numBits === 0) return 0;
    const value = this.#window() >>> (32 - numBits);
    this.#skip(numBits);
    return value;
  }

  /** Reads a two's complement number of 1 to 53 bits. */
  signed(numBits: number): number {
    if (numBits > 32) {
      const high = this.signed(numBits - 32);
      return high * 2 ** 32 + this.unsigned(32);
    }
    const value = this.#window() >> (32 - numBits);
    this.#skip(numBits);
    return value;
  }

  /** Reads zero bits up to the next one bit, which is skipped: their count. */
  unary(): number {
    let numZeros = 0;
    for (;;) {
      const zeros = Math.clz32(this.#window());
      if (zeros < 32) {
        this.#skip(zeros + 1);
        return numZeros + zeros;
      }
      this.#skip(32);
      numZeros += 32;
    }
  }

  /** The next 32 bits; zeros behind the end. */
  #window(): number {
    const bytes = this.#bytes;
    const at = this.#at >>> 3;
    const shift = this.#at & 7;
    const word =
      ((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0);
    return shift === 0 ? word : (word << shift) | ((bytes[at + 4] ?? 0) >>> (8 - shift));
  }

  #skip(numBits: number): void {
    this.#at += numBits;
    if (this.#at > this.#bytes.length * 8) throw new EndOfBits();
  }
}
