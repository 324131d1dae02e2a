/** Returns a round number at or above a value: the top of an axis. */
export function axisTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factors = [1, 2, 2.5, 5, 10];
  return power * (factors.find((factor) => factor * power >= value) ?? 10);
}

export interface PlotSize {
  readonly width: number;
  readonly height: number;
  /** The value at the upper edge. */
  readonly top: number;
}

/** Returns the path of a line through values; where there is none, the line is broken. */
export function linePath(values: readonly (number | undefined)[], size: PlotSize): string {
  const parts: string[] = [];
  values.forEach((value, index) => {
    if (value === undefined) return;
    const x = xOf(index, values.length, size);
    const y = yOf(value, size);
    const isJoined = values[index - 1] !== undefined;
    // A value that stands alone is a point: a line of no length with round ends.
    parts.push(`${isJoined ? 'L' : 'M'}${x} ${y}${isJoined ? '' : 'h0'}`);
  });
  return parts.join('');
}

/** Returns the path of the area below a line without gaps. */
export function areaPath(values: readonly number[], size: PlotSize): string {
  const points = values.map((value, i) => `${xOf(i, values.length, size)} ${yOf(value, size)}`);
  return `M0 ${size.height}L${points.join('L')}L${size.width} ${size.height}Z`;
}

function xOf(index: number, count: number, { width }: PlotSize): number {
  return rounded((index * width) / Math.max(1, count - 1));
}

function yOf(value: number, { height, top }: PlotSize): number {
  return rounded(height - (Math.min(value, top) / top) * height);
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
