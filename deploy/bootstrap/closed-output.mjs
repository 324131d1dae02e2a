// What a command does when nobody reads its output any more (`| head`).

/** The status of a command that SIGPIPE ended, as shells show it; Node ignores the signal. */
const SIGPIPE_STATUS = 141;

/**
 * Ends the command quietly once its standard output is closed. Messages on standard error are lost in
 * silence: a set-up, or the mesh it starts, is worth more than its reports.
 */
export function endWithReader() {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(SIGPIPE_STATUS);
    process.stderr.write(`cannot write to standard output: ${error.message}\n`);
    process.exit(1);
  });
}
