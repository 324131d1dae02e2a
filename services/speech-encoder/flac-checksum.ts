/** Tables of a checksum whose polynomial has its highest bit first, by the byte shifted out. */
function table(polynomial: number, numBits: number): Uint16Array {
  const top = 2 ** (numBits - 1);
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << (numBits - 8);
    for (let bit = 0; bit < 8; bit++) crc = (crc & top) === 0 ? crc << 1 : (crc << 1) ^ polynomial;
    return crc;
  });
}

const CRC8 = table(0x107, 8);
const CRC16 = table(0x18005, 16);

/** Checksum of a frame's header (RFC 9639 §9.1.8). */
export function crc8(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) crc = CRC8[crc ^ byte] ?? 0;
  return crc;
}

/** Checksum of a whole frame (RFC 9639 §9.3). */
export function crc16(bytes: Buffer): number {
  let crc = 0;
  for (let i = 0; i < bytes.length; i++) {
    crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >>> 8) ^ (bytes[i] ?? 0)] ?? 0);
  }
  return crc;
}
