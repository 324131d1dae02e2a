import type { Row } from './dashboard.ts';
import { of, quantile } from './queries.ts';

/** What the system tells of the processes of a role. */
export function processRow(roles: string): Row {
  const role = `role=~"${roles}"`;
  const legend = '{{instance}}';
  return {
    title: 'Processes',
    panels: [
      {
        title: 'CPU',
        description: 'Cores that each process keeps busy.',
        unit: 'short',
        queries: [
          { expr: `rate(${of('process_cpu_seconds_total', role)}[$__rate_interval])`, legend },
        ],
      },
      {
        title: 'Memory',
        description: 'Resident memory; weights that are mapped from a file are part of it.',
        unit: 'bytes',
        queries: [{ expr: of('process_resident_memory_bytes', role), legend }],
      },
      {
        title: 'Event loop delay, P99',
        description: 'How late timers are; tokens wait as long.',
        unit: 's',
        queries: [
          {
            expr: quantile(0.99, 'process_event_loop_delay_seconds', ['instance'], role),
            legend,
          },
        ],
      },
      {
        title: 'File descriptors',
        description: 'Share of the open file descriptors that the process may have.',
        unit: 'percentunit',
        queries: [
          { expr: `${of('process_open_fds', role)} / ${of('process_max_fds', role)}`, legend },
        ],
      },
      {
        title: 'Age',
        description: 'Time since the process started; it falls to 0 when it is started again.',
        unit: 's',
        queries: [{ expr: `time() - ${of('process_start_time_seconds', role)}`, legend }],
      },
    ],
  };
}
