// Shows how far a stage of the set-up has come: on a terminal by a line that changes, elsewhere by
// a line every ten seconds.

const TERMINAL_INTERVAL_MS = 1000;
const LOG_INTERVAL_MS = 10000;
/** Below this share the time that is left cannot be told. */
const SMALLEST_SHARE = 0.03;

/**
 * Begins the line of a stage. Returns `report(share)`, which takes how much of the stage is done (0
 * to 1), and `end(text)`, which ends the line.
 */
export function beginProgress(title, stream = process.stderr, now = Date.now) {
  const start = now();
  let share;
  const line = `[set-up] ${title} ...`;
  stream.write(line);
  const show = () => {
    const state = describeProgress(share, now() - start);
    // On a terminal the line is written over, elsewhere another one is begun.
    stream.write(stream.isTTY ? `\r\u001b[K${line} ${state}` : ` ${state}\n${line}`);
  };
  const timer = setInterval(show, stream.isTTY ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS);
  timer.unref();
  return {
    report: (done) => {
      share = done;
    },
    end: (text) => {
      clearInterval(timer);
      stream.write(stream.isTTY ? `\r\u001b[K${line} ${text}\n` : ` ${text}\n`);
    },
  };
}

/** Writes `34 %, about 60 s left`, or `20 s so far` if nothing is known of the share. */
export function describeProgress(share, elapsedMs) {
  const seconds = Math.round(elapsedMs / 1000);
  if (share === undefined || share < SMALLEST_SHARE) return `${seconds} s so far`;
  const leftS = Math.round((seconds * (1 - share)) / share);
  return `${Math.floor(100 * share)} %, about ${leftS} s left`;
}

/**
 * Reads the share that is done from a line of make (`[ 34%] Building`) or of ninja (`[12/80]
 * Building`); undefined if it says nothing.
 */
export function shareOf(line) {
  const [, percent, done, total] = /^\[\s*(?:(\d+)%|(\d+)\/(\d+))\]/.exec(line) ?? [];
  if (percent !== undefined) return Number(percent) / 100;
  return done === undefined ? undefined : Number(done) / Number(total);
}
