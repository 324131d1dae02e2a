// A process that loads a decoder and tells its parent how much memory it had at most, in bytes:
// load-once.ts DIRECTORY QUANTIZE
import { readFileSync } from 'node:fs';
import { loadDecoder, type Quantize } from '#native';

/** Returns the most memory that this process has had since its start. */
function peakBytes(): number {
  const [, kilobytes = '0'] =
    /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

const [, , directory = '', quantize = 'none'] = process.argv;
const decoder = await loadDecoder({
  model: { directory },
  device: 'cpu',
  weightDtype: 'auto',
  quantize: quantize as Quantize,
  activationDtype: 'bfloat16',
  blockSize: 16,
  kvCacheBytes: 1024 * 1024,
  maxNumBatchedTokens: 64,
});
process.send?.({ peakBytes: peakBytes(), weightBytes: decoder.description.weightBytes });
await decoder.close();
