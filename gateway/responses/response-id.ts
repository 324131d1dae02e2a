import { randomUUID } from 'node:crypto';

/** Returns a new id of a response or an item. */
export function createId(prefix: 'resp' | 'msg' | 'rs' | 'fc'): string {
  return `${prefix}_${randomUUID().replaceAll('-', '')}`;
}
