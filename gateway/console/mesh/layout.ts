import type { InstanceOverview, InstanceOverviewRole } from '#mesh/overview/mesh-overview.ts';

/** Where a card lies, pixels. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A line between two cards, by their ids. */
export interface Link {
  readonly from: string;
  readonly to: string;
  /** Path data of SVG. */
  readonly path: string;
}

export interface MeshLayout {
  /** Places by id; the gateway's is `GATEWAY_ID`, an instance's its address. */
  readonly places: ReadonlyMap<string, Place>;
  readonly links: readonly Link[];
  readonly width: number;
  readonly height: number;
}

export const GATEWAY_ID = 'gateway';

const CARD_HEIGHT = 196;
const GATEWAY_HEIGHT = 104;
const ROW_GAP = 18;
const MAX_CARD_WIDTH = 300;
/** Share of a column's width that is left for lines. */
const GAP_SHARE = 0.24;
/** Pixels below which the columns stand below one another. */
const NARROW = 720;
/** Room at the left for the lines of a narrow page. */
const MARGIN = 20;

type Listed = Pick<InstanceOverview, 'address' | 'role'>;

const ENCODER_ORDER: readonly InstanceOverviewRole[] = [
  'vision-encoder',
  'speech-encoder',
  'encoder',
];

/** Lays the cards out: gateway, backbones, encoders from left to right, or from top to bottom. */
export function layoutMesh(instances: readonly Listed[], width: number): MeshLayout {
  const backbones = instances.filter(({ role }) => role === 'llm-backbone');
  const encoders = ENCODER_ORDER.flatMap((role) => instances.filter((one) => one.role === role));
  const columns = [[GATEWAY_ID], addresses(backbones), addresses(encoders)];
  return width < NARROW ? stacked(columns, width) : sideBySide(columns, width);
}

function addresses(instances: readonly Listed[]): string[] {
  return instances.map(({ address }) => address);
}

function heightOf(id: string): number {
  return id === GATEWAY_ID ? GATEWAY_HEIGHT : CARD_HEIGHT;
}

function columnHeight(ids: readonly string[]): number {
  const heights = ids.reduce((sum, id) => sum + heightOf(id), 0);
  return heights + Math.max(0, ids.length - 1) * ROW_GAP;
}

function sideBySide(columns: readonly (readonly string[])[], width: number): MeshLayout {
  const slot = width / (columns.length - GAP_SHARE);
  const cardWidth = Math.min(MAX_CARD_WIDTH, slot * (1 - GAP_SHARE));
  const step = (width - cardWidth) / (columns.length - 1);
  const height = Math.max(...columns.map(columnHeight));
  const places = new Map<string, Place>();
  columns.forEach((ids, column) => {
    let y = (height - columnHeight(ids)) / 2;
    for (const id of ids) {
      places.set(id, { x: column * step, y, width: cardWidth, height: heightOf(id) });
      y += heightOf(id) + ROW_GAP;
    }
  });
  return { places, links: linksOf(columns, places, curve), width, height };
}

function stacked(columns: readonly (readonly string[])[], width: number): MeshLayout {
  const places = new Map<string, Place>();
  let y = 0;
  for (const id of columns.flat()) {
    const x = id === GATEWAY_ID ? 0 : MARGIN;
    places.set(id, { x, y, width: width - x, height: heightOf(id) });
    y += heightOf(id) + ROW_GAP;
  }
  const links = linksOf(columns, places, bend);
  return { places, links, width, height: Math.max(0, y - ROW_GAP) };
}

/** Each card of a column is joined with each of the next. */
function linksOf(
  columns: readonly (readonly string[])[],
  places: ReadonlyMap<string, Place>,
  draw: (from: Place, to: Place) => string,
): Link[] {
  return columns.slice(1).flatMap((ids, index) =>
    (columns[index] ?? []).flatMap((from) =>
      ids.flatMap((to) => {
        const [start, end] = [places.get(from), places.get(to)];
        return start && end ? [{ from, to, path: draw(start, end) }] : [];
      }),
    ),
  );
}

/** From the middle of a right edge to the middle of a left edge. */
function curve(from: Place, to: Place): string {
  const [x1, y1] = [from.x + from.width, from.y + from.height / 2];
  const [x2, y2] = [to.x, to.y + to.height / 2];
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

/** Down at the left, then into the card. */
function bend(from: Place, to: Place): string {
  const x = MARGIN / 2;
  const y1 = from.x === 0 ? from.y + from.height : from.y + from.height / 2;
  const y2 = to.y + to.height / 2;
  const begin = from.x === 0 ? `M${x} ${y1}` : `M${from.x} ${y1}H${x}`;
  return `${begin}V${y2}H${to.x}`;
}
