// Ends a command whose output is no longer read (`| head`).

/** Status that shells show for a command ended by SIGPIPE, a signal that Node ignores. */
const SIGPIPE_STATUS = 141;

/**
 * Ends the command silently once its standard output is closed. Messages to a closed standard error
 * are dropped, because a set-up, or the mesh it starts, matters more than its reports.
 */
export function endWithReader() {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(SIGPIPE_STATUS);
    process.stderr.write(`cannot write to standard output: ${error.message}\n`);
    process.exit(1);
  });
}
