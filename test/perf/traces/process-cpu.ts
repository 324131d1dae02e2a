import { readdir, readFile } from 'node:fs/promises';

/** Reads the CPU time that all threads of a process have had, microseconds, at no cost to it. */
export async function processCpuUs(pid: number): Promise<number> {
  const tasks = `/proc/${pid}/task`;
  const threads = await readdir(tasks);
  const times = await Promise.all(
    threads.map(async (thread) => {
      // Nanoseconds on a CPU, those of waiting, and the number of turns.
      const text = await readFile(`${tasks}/${thread}/schedstat`, 'utf8');
      return Number(text.split(' ')[0]) / 1000;
    }),
  );
  return times.reduce((sum, time) => sum + time, 0);
}
