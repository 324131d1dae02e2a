/** Counts the turns of the event loop while `work` runs. */
export async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let numTurns = 0;
  let isOver = false;
  const count = () => {
    numTurns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await work();
  isOver = true;
  return numTurns;
}
