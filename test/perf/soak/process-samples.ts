import { readdir, readFile } from 'node:fs/promises';
import type { Mesh } from '#test/e2e/mesh.ts';
import { ALLOWED_GROWTH, type Series } from './flatness.ts';

/** What a process has at a moment; the delay is counted from its start. */
interface Sample {
  readonly residentBytes: number;
  readonly numDescriptors: number;
  readonly delaySeconds: number;
  readonly numLooks: number;
}

const BYTES_PER_MB = 1e6;

/** Line of `/metrics` of what a process measures of itself; histograms' sums and counts too. */
const LINE = /^process_(\w+)\{(.*)\} (\S+)$/gm;

/** Takes samples of every process of a mesh; there is one of each role. */
export class ProcessSamples {
  readonly #mesh: Mesh;
  readonly #samples = new Map<string, Sample[]>();
  #numRestarts = 0;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  /** Times that processes were started again, as the last sample says. */
  get numRestarts(): number {
    return this.#numRestarts;
  }

  async take(): Promise<void> {
    const text = await (await fetch(`${this.#mesh.url}/metrics`)).text();
    const processes = new Map<string, Map<string, number>>();
    for (const [, name = '', labels = '', value] of text.matchAll(LINE)) {
      const process = nameOf(labels);
      const known = processes.get(process) ?? new Map<string, number>();
      processes.set(process, known.set(name, Number(value)));
    }
    this.#numRestarts = 0;
    for (const [process, values] of processes) {
      const value = (name: string) => values.get(name) ?? Number.NaN;
      this.#numRestarts += value('restarts_total');
      this.#add(process, {
        residentBytes: value('resident_memory_bytes'),
        numDescriptors: value('open_fds'),
        delaySeconds: value('event_loop_delay_seconds_sum'),
        numLooks: value('event_loop_delay_seconds_count'),
      });
    }
    this.#add('supervisor', await sampleOf(this.#mesh.supervisor.pid));
  }

  /** Returns each quantity of each process over time; the supervisor's delay is not measured. */
  series(): readonly Series[] {
    return [...this.#samples].flatMap(([process, samples]) => {
      const delays = samples.slice(1).map((one, i) => delayMs(samples[i], one));
      return [
        {
          name: `${process}: resident memory`,
          unit: 'MB',
          values: samples.map((one) => one.residentBytes / BYTES_PER_MB),
          allowed: ALLOWED_GROWTH.memory,
        },
        {
          name: `${process}: descriptors`,
          unit: '',
          values: samples.map((one) => one.numDescriptors),
          allowed: ALLOWED_GROWTH.descriptors,
        },
        ...(process === 'supervisor'
          ? []
          : [
              {
                name: `${process}: event-loop delay`,
                unit: 'ms',
                values: delays,
                allowed: ALLOWED_GROWTH.delay,
              },
            ]),
      ];
    });
  }

  #add(process: string, sample: Sample): void {
    this.#samples.set(process, [...(this.#samples.get(process) ?? []), sample]);
  }
}

function nameOf(labels: string): string {
  return /role="([^"]*)"/.exec(labels)?.[1] ?? '';
}

/** Returns the mean delay between two samples, milliseconds. */
function delayMs(before: Sample | undefined, { delaySeconds, numLooks }: Sample): number {
  if (before === undefined) return Number.NaN;
  return (1000 * (delaySeconds - before.delaySeconds)) / (numLooks - before.numLooks);
}

/** Reads what Linux's /proc says of a process. */
async function sampleOf(pid: number | undefined): Promise<Sample> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const [, residentKb] = /VmRSS:\s+(\d+) kB/.exec(status) ?? [];
  return {
    residentBytes: Number(residentKb) * 1024,
    numDescriptors: descriptors.length,
    delaySeconds: Number.NaN,
    numLooks: Number.NaN,
  };
}
