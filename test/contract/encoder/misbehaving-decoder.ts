// A decoder whose files say what it does: for tests of the pool, which must outlive all of it.

import { serveDecoder } from '#encoder/decoding/serve-decoder.ts';
import { MeshError } from '#mesh/errors.ts';

const held: Buffer[] = [];

serveDecoder(async (bytes) => {
  const says = bytes.toString('latin1');
  if (says.startsWith('spin')) for (;;);
  if (says.startsWith('crash')) process.kill(process.pid, 'SIGSEGV');
  if (says.startsWith('exit')) process.exit(3);
  if (says.startsWith('grow')) for (;;) held.push(Buffer.alloc(16_000_000, 1));
  if (says.startsWith('wait')) await new Promise(() => {});
  if (says.startsWith('refuse')) throw new MeshError('UNSUPPORTED_MEDIA', 'not an image at all');
  const loaded = says.startsWith('environment') ? Buffer.from(JSON.stringify(process.env)) : bytes;
  return {
    facts: { kind: 'image', width: process.pid, height: 1 },
    durationMs: 0,
    load: async () => loaded,
    close: () => {},
  };
});
