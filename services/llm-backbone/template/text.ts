/**
 * Who wrote a piece of text: the template, or the content it shows. `answer` is content that the
 * model itself wrote in an earlier turn.
 */
export type Origin = 'template' | 'answer' | 'content';

/** A stretch of a text that has one origin: characters `start` to `end`, in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly origin: Origin;
}

/** A text that knows who wrote each of its characters. */
export class Text {
  readonly value: string;
  /** Ordered, without gaps or overlaps, from 0 to the length; empty if the text is. */
  readonly spans: readonly Span[];

  constructor(value: string, spans: readonly Span[]) {
    this.value = value;
    this.spans = spans;
  }

  static of(value: string, origin: Origin = 'template'): Text {
    return value === '' ? EMPTY : new Text(value, [{ start: 0, end: value.length, origin }]);
  }

  static join(pieces: readonly Text[], separator: Text = EMPTY): Text {
    const builder = new TextBuilder();
    pieces.forEach((piece, i) => {
      if (i > 0) builder.append(separator);
      builder.append(piece);
    });
    return builder.build();
  }

  static empty(): Text {
    return EMPTY;
  }

  /** Returns the characters from `start` to `end`, in UTF-16 units. */
  slice(start: number, end: number = this.value.length): Text {
    if (start <= 0 && end >= this.value.length) return this;
    if (end <= start) return EMPTY;
    const spans: Span[] = [];
    for (let i = this.#spanAt(start); i < this.spans.length; i++) {
      const span = this.spans[i];
      if (span === undefined || span.start >= end) break;
      spans.push({
        start: Math.max(span.start, start) - start,
        end: Math.min(span.end, end) - start,
        origin: span.origin,
      });
    }
    return new Text(this.value.slice(start, end), spans);
  }

  /** Rewrites each stretch of one origin by itself. */
  map(rewrite: (piece: string) => string): Text {
    return Text.join(
      this.spans.map(({ start, end, origin }) =>
        Text.of(rewrite(this.value.slice(start, end)), origin),
      ),
    );
  }

  /** Returns the origin all characters have, or `content` if they have several. */
  get origin(): Origin {
    const [first, ...rest] = this.spans;
    return rest.length === 0 ? (first?.origin ?? 'template') : 'content';
  }

  /** Finds the span that holds a position, by bisection. */
  #spanAt(position: number): number {
    let [low, high] = [0, this.spans.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.spans[middle]?.end ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Collects a text piece by piece. */
export class TextBuilder {
  #value = '';
  readonly #spans: Span[] = [];

  get length(): number {
    return this.#value.length;
  }

  append(text: Text): void {
    const offset = this.#value.length;
    for (const { start, end, origin } of text.spans) {
      const last = this.#spans.at(-1);
      const span = { start: start + offset, end: end + offset, origin };
      if (last?.origin === origin) this.#spans[this.#spans.length - 1] = { ...last, end: span.end };
      else this.#spans.push(span);
    }
    this.#value += text.value;
  }

  build(): Text {
    return this.#value === '' ? EMPTY : new Text(this.#value, [...this.#spans]);
  }
}

const EMPTY = new Text('', []);
