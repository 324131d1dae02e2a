/** One measured number and, if there is one, the limit of the machine for it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly limit?: { readonly name: string; readonly share: number };
}

/** Formats a figure as one line: as text for people, or as a JSON object. */
export function formatFigure(figure: Figure, asJson: boolean): string {
  if (asJson) return JSON.stringify(figure);
  const { name, value, unit, limit } = figure;
  const share =
    limit === undefined ? '' : `  (${(100 * limit.share).toFixed(0)} % of ${limit.name})`;
  return `${name.padEnd(48)} ${formatNumber(value).padStart(10)} ${unit}${share}`;
}

function formatNumber(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
