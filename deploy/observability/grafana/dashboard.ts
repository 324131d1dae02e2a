/** A query of a panel; `$job` and `$__rate_interval` are Grafana's to fill in. */
export interface Query {
  readonly expr: string;
  /** Name of each series, with labels as `{{label}}`. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** What it shows and when to worry, in one or two sentences. */
  readonly description: string;
  /** Grafana's name of the unit: `s`, `bytes`, `percentunit`, `reqps`, `short`. */
  readonly unit: string;
  /** A number instead of a course. */
  readonly isNumber?: boolean;
  /** Whether the series add up. */
  readonly isStacked?: boolean;
  readonly queries: readonly Query[];
}

/** Panels that belong together, under a heading. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  /** Name of its file and its id in Grafana. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
}

/** Grafana divides a dashboard into this many columns. */
const NUM_COLUMNS = 24;
const COURSE = { w: 8, h: 8 };
const NUMBER = { w: 4, h: 4 };
const HEADING_HEIGHT = 1;

/** Makes the JSON that Grafana 10 and newer import. */
export function grafanaJson({ uid, title, description, rows }: Dashboard): string {
  const panels: object[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push(heading(row.title, { id: panels.length + 1, y }));
    y += HEADING_HEIGHT;
    let [x, height] = [0, 0];
    for (const panel of row.panels) {
      const size = panel.isNumber ? NUMBER : COURSE;
      if (x + size.w > NUM_COLUMNS) {
        y += height;
        [x, height] = [0, 0];
      }
      panels.push(panelJson(panel, { id: panels.length + 1, gridPos: { x, y, ...size } }));
      x += size.w;
      height = Math.max(height, size.h);
    }
    y += height;
  }
  const dashboard = {
    uid,
    title,
    description,
    tags: ['autoglm-mesh'],
    schemaVersion: 38,
    editable: true,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    graphTooltip: 1,
    links: [
      { title: 'AutoGLM mesh', type: 'dashboards', tags: ['autoglm-mesh'], asDropdown: true },
    ],
    templating: { list: VARIABLES },
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

const VARIABLES = [
  { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
  {
    name: 'job',
    label: 'Mesh',
    type: 'query',
    datasource: DATASOURCE,
    query: { query: 'label_values(autoglm_build_info, job)', refId: 'job' },
    refresh: 2,
    includeAll: true,
    multi: true,
    current: { text: 'All', value: '$__all' },
  },
];

function heading(title: string, { id, y }: { readonly id: number; readonly y: number }): object {
  const gridPos = { x: 0, y, w: NUM_COLUMNS, h: HEADING_HEIGHT };
  return { id, type: 'row', title, gridPos, collapsed: false, panels: [] };
}

interface Place {
  readonly id: number;
  readonly gridPos: object;
}

function panelJson(panel: Panel, { id, gridPos }: Place): object {
  const { title, description, unit, isNumber = false, isStacked = false, queries } = panel;
  const targets = queries.map(({ expr, legend }, index) => ({
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
    datasource: DATASOURCE,
    expr,
    legendFormat: legend,
    ...(isNumber && { instant: true, range: false }),
  }));
  const shared = { id, title, description, gridPos, datasource: DATASOURCE, targets };
  if (isNumber) {
    return {
      ...shared,
      type: 'stat',
      fieldConfig: { defaults: { unit }, overrides: [] },
      options: { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false } },
    };
  }
  const stacking = { mode: isStacked ? 'normal' : 'none', group: 'A' };
  const custom = { fillOpacity: isStacked ? 40 : 10, showPoints: 'never', stacking };
  return {
    ...shared,
    type: 'timeseries',
    fieldConfig: { defaults: { unit, min: 0, custom }, overrides: [] },
    options: {
      legend: { displayMode: 'list', placement: 'bottom' },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  };
}
