import { randomBytes } from 'node:crypto';
import { RowPool } from '#mesh/encode/row-pool.ts';
import type { RowPoolDescription } from '#native';
import { DeviceMemory } from '#protos/autoglm/common/v1/device_memory.ts';
import type { EncodeHeader } from '#protos/autoglm/encoder/v1/encoder.ts';

const TOKEN_BYTES = 16;

/** Offers rows in memory of the tower's GPU to callers that can open it. */
export class DeviceRows {
  readonly pool: RowPool;
  readonly memory: DeviceMemory;

  /** `reclaim` gives up a place that only the cache holds; see `RowPoolOptions`. */
  constructor({ numBytes, handle, device }: RowPoolDescription, reclaim: () => boolean) {
    this.pool = new RowPool({ numBytes, reclaim });
    this.memory = DeviceMemory.create({
      handle,
      sizeBytes: BigInt(numBytes),
      device,
      token: randomBytes(TOKEN_BYTES),
    });
  }

  /** Tells whether a caller, which has shown that it runs on this host, can open the memory. */
  isReachedBy({ reachableDevices }: EncodeHeader): boolean {
    return reachableDevices.includes(this.memory.device);
  }
}
