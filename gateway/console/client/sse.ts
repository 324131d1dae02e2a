/** Longest event that is taken, characters; an answer's events are far shorter. */
const MAX_EVENT_CHARS = 4_000_000;

/** Takes a stream of server-sent events apart, however its text is cut. */
export class SseReader {
  #rest = '';

  /** Takes the next piece of text; returns the data of the events that are complete with it. */
  push(text: string): string[] {
    this.#rest += text;
    if (this.#rest.length > MAX_EVENT_CHARS) throw new Error('an event of the stream is too long');
    const events = this.#rest.split(/\r?\n\r?\n/);
    this.#rest = events.pop() ?? '';
    return events.flatMap((event) => dataOf(event) ?? []);
  }
}

/** Returns the data of an event; undefined for a comment. */
function dataOf(event: string): string | undefined {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
  if (lines.length === 0) return undefined;
  return lines.map((line) => line.slice('data:'.length).replace(/^ /, '')).join('\n');
}
