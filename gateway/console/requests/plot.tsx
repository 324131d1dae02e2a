import { useText } from '../text/language.tsx';
import { areaPath, axisTop, linePath } from './plot-path.ts';

/** Units of the drawing; the page stretches it. */
const WIDTH = 300;
const HEIGHT = 72;

export interface PlotProps {
  readonly title: string;
  /** What the plot says in words. */
  readonly value: string;
  readonly detail: string;
  /** Oldest first; undefined where nothing is known. */
  readonly lines: readonly (readonly (number | undefined)[])[];
  /** Writes a value of the axis. */
  readonly write: (value: number) => string;
  /** Whether the first line is filled below: it is then a rate or a count. */
  readonly isFilled: boolean;
  readonly tone: 'plain' | 'bad';
}

/** One quantity over the last minutes. */
export function Plot({ title, value, detail, lines, write, isFilled, tone }: PlotProps) {
  const say = useText();
  const known = lines.flat().filter((one) => one !== undefined);
  const top = axisTop(Math.max(0, ...known));
  const size = { width: WIDTH, height: HEIGHT, top };
  const [first = []] = lines;
  const hasSome = known.some((one) => one > 0);
  return (
    <figure class={`plot ${tone}`}>
      <figcaption>
        <span class="muted">{title}</span>
        <strong>{value}</strong>
        <span class="muted">{detail}</span>
      </figcaption>
      <div class="plot-area">
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={say('plotSummary', { title, value: `${value} ${detail}` })}
        >
          <path
            class="grid"
            d={`M0 0.5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}`}
          />
          {isFilled && hasSome && (
            <path
              class="area"
              d={areaPath(
                first.map((one) => one ?? 0),
                size,
              )}
            />
          )}
          {hasSome &&
            lines.map((line, index) => (
              <path key={index} class={`line line-${index}`} d={linePath(line, size)} />
            ))}
        </svg>
        {hasSome && (
          <span class="axis muted" aria-hidden="true">
            {write(top)}
          </span>
        )}
      </div>
      <div class="plot-span muted" aria-hidden="true">
        <span>−15 min</span>
        <span>0</span>
      </div>
    </figure>
  );
}
