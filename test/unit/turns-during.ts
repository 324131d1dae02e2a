/** How often the event loop turns while `work` is under way. */
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
