import assert from 'node:assert/strict';
import type { Sequence } from './sequence.ts';

function isBefore(a: Sequence, b: Sequence): boolean {
  return a.priority === b.priority ? a.id < b.id : a.priority < b.priority;
}

/** Inserts a sequence into a list in the order of priority, then arrival. */
export function insertInOrder(list: Sequence[], sequence: Sequence): void {
  const index = list.findIndex((other) => isBefore(sequence, other));
  list.splice(index === -1 ? list.length : index, 0, sequence);
}

export function removeFrom(list: Sequence[], sequence: Sequence): void {
  const index = list.indexOf(sequence);
  assert(index !== -1, `sequence ${sequence.id} is not where its state says`);
  list.splice(index, 1);
}
