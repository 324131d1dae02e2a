import type { PhoneAction } from '#mesh/answer/phone-action.ts';
import { useText } from '../text/language.tsx';
import { useFileUrl } from './attachment-view.tsx';
import type { Attachment } from './conversation.ts';
import { type Drawing, drawingOf } from './drawing.ts';

export interface ActionViewProps {
  readonly action: PhoneAction;
  /** The screenshot that the action is about, if there is one. */
  readonly screenshot: Attachment | undefined;
  /** The answer as the model wrote it, without tags. */
  readonly words: string;
}

/** What the model wants to do, drawn on the screenshot if it has a place there. */
export function ActionView({ action, screenshot, words }: ActionViewProps) {
  const say = useText();
  const drawing = screenshot && drawingOf(action, screenshot);
  return (
    <figure class="action">
      {screenshot !== undefined && drawing !== undefined && (
        <DrawnScreenshot
          screenshot={screenshot}
          drawing={drawing}
          label={say('actionDrawn', { action: describe(action, say) })}
        />
      )}
      <figcaption>
        <p>
          <span class="verb">{action.name}</span> {detailOf(action)}
        </p>
        <p class="words raw">{words}</p>
      </figcaption>
    </figure>
  );
}

function describe(action: PhoneAction, say: ReturnType<typeof useText>): string {
  switch (action.kind) {
    case 'point':
      return say('actionPoint', { action: action.name, ...action.at });
    case 'swipe': {
      const { from, to, name } = action;
      return say('actionSwipe', { action: name, ...from, toX: to.x, toY: to.y });
    }
    case 'other':
      return `${action.name} ${action.detail}`;
  }
}

function detailOf(action: PhoneAction): string {
  switch (action.kind) {
    case 'point':
      return `${action.at.x}, ${action.at.y}`;
    case 'swipe':
      return `${action.from.x}, ${action.from.y} → ${action.to.x}, ${action.to.y}`;
    case 'other':
      return action.detail;
  }
}

interface DrawnScreenshotProps {
  readonly screenshot: Attachment;
  readonly drawing: Drawing;
  readonly label: string;
}

function DrawnScreenshot({ screenshot, drawing, label }: DrawnScreenshotProps) {
  const url = useFileUrl(screenshot);
  const { width, height } = screenshot;
  const { circles, line, head, stroke } = drawing;
  const [dot, ...rings] = circles;
  if (url === '') return null;
  return (
    <div class="screen">
      <img src={url} alt="" width={width} height={height} />
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
        <g class="mark-edge" stroke-width={stroke * 2.2}>
          {rings.map((ring) => (
            <circle key={ring.radius} cx={ring.x} cy={ring.y} r={ring.radius} />
          ))}
          {line && <line x1={line.from.x} y1={line.from.y} x2={line.to.x} y2={line.to.y} />}
          {head.length > 0 && <polygon points={pointsOf(head)} />}
        </g>
        <g class="mark" stroke-width={stroke}>
          {rings.map((ring) => (
            <circle key={ring.radius} class="ring" cx={ring.x} cy={ring.y} r={ring.radius} />
          ))}
          {line && <line x1={line.from.x} y1={line.from.y} x2={line.to.x} y2={line.to.y} />}
          {head.length > 0 && <polygon class="solid" points={pointsOf(head)} />}
          {dot && <circle class="solid" cx={dot.x} cy={dot.y} r={dot.radius} />}
        </g>
      </svg>
    </div>
  );
}

function pointsOf(pixels: Drawing['head']): string {
  return pixels.map(({ x, y }) => `${x},${y}`).join(' ');
}
