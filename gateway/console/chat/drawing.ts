import type { PhoneAction, ScreenPoint } from '#mesh/answer/phone-action.ts';

/** A place in pixels of the screenshot. */
export interface Pixel {
  readonly x: number;
  readonly y: number;
}

export interface Circle extends Pixel {
  readonly radius: number;
}

/** What is drawn over a screenshot, in its pixels. */
export interface Drawing {
  readonly circles: readonly Circle[];
  /** The shaft of an arrow, from end to end. */
  readonly line: { readonly from: Pixel; readonly to: Pixel } | undefined;
  /** The corners of the arrow's head: its tip, then its barbs. */
  readonly head: readonly Pixel[];
  /** Width of lines. */
  readonly stroke: number;
}

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Radius of a touch as a share of the screen's shorter side. */
const TOUCH_SHARE = 0.09;
const DOT_SHARE = 0.02;
const STROKE_SHARE = 0.014;
/** Length of an arrow's head, and half of its width, as shares of the shorter side. */
const HEAD_SHARE = 0.1;
const BARB_SHARE = 0.055;

/** Returns what shows an action on a screenshot; undefined if it has no place there. */
export function drawingOf(action: PhoneAction, size: PictureSize): Drawing | undefined {
  const side = Math.min(size.width, size.height);
  const stroke = Math.max(1.5, side * STROKE_SHARE);
  switch (action.kind) {
    case 'other':
      return undefined;
    case 'point': {
      const at = pixelOf(action.at, size);
      const radii = [DOT_SHARE, ...touchRings(action.name)];
      const circles = radii.map((share) => ({ ...at, radius: side * share }));
      return { circles, line: undefined, head: [], stroke };
    }
    case 'swipe': {
      const [from, to] = [pixelOf(action.from, size), pixelOf(action.to, size)];
      const start = { ...from, radius: side * DOT_SHARE };
      return { circles: [start], ...arrow(from, to, side), stroke };
    }
  }
}

/** One ring for a touch, two for one that lasts or is repeated. */
function touchRings(name: string): number[] {
  const isMore = /double|long/i.test(name);
  return isMore ? [TOUCH_SHARE * 0.65, TOUCH_SHARE] : [TOUCH_SHARE];
}

function pixelOf({ x, y }: ScreenPoint, { width, height }: PictureSize): Pixel {
  return { x: (x / 1000) * width, y: (y / 1000) * height };
}

function arrow(from: Pixel, to: Pixel, side: number): Pick<Drawing, 'line' | 'head'> {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  if (length === 0) return { line: undefined, head: [] };
  const along = { x: (to.x - from.x) / length, y: (to.y - from.y) / length };
  const headLength = Math.min(side * HEAD_SHARE, length);
  const barb = side * BARB_SHARE;
  // The shaft ends inside the head, so that its end does not show beside the tip.
  const neck = { x: to.x - along.x * headLength, y: to.y - along.y * headLength };
  return {
    line: { from, to: neck },
    head: [
      to,
      { x: neck.x - along.y * barb, y: neck.y + along.x * barb },
      { x: neck.x + along.y * barb, y: neck.y - along.x * barb },
    ],
  };
}
