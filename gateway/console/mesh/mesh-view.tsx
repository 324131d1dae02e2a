import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ratesOf } from '#mesh/overview/instance-rates.ts';
import type { MeshOverview } from '#mesh/overview/mesh-overview.ts';
import { ApiError, askJson } from '../client/api.ts';
import { type Polled, usePolling } from '../client/polling.ts';
import { useText } from '../text/language.tsx';
import { GatewayCard, InstanceCard } from './cards.tsx';
import { GATEWAY_ID, layoutMesh, type MeshLayout, type Place } from './layout.ts';

/** Milliseconds between two looks at the mesh. */
const INTERVAL_MS = 1000;

export interface MeshViewProps {
  readonly onKeyNeeded: () => void;
}

/** Every process of the mesh, drawn as it is now. */
export function MeshView({ onKeyNeeded }: MeshViewProps) {
  const say = useText();
  const polled = usePolling(
    (signal) => askJson<MeshOverview>('v1/autoglm/mesh', { signal }),
    INTERVAL_MS,
  );
  const { value: overview, error } = polled;
  const isAboutKey = error instanceof ApiError && error.isAboutKey;
  useEffect(() => {
    if (isAboutKey) onKeyNeeded();
  }, [isAboutKey]);
  return (
    <div class="mesh">
      <header class="view-head">
        <h2>{say('mesh')}</h2>
        <p class="muted">{say('meshIntro')}</p>
        <LiveMark polled={polled} />
      </header>
      {overview === undefined ? (
        <p class="muted">{say('loading')}</p>
      ) : (
        <Topology overview={overview} />
      )}
    </div>
  );
}

function LiveMark({ polled }: { readonly polled: Polled<unknown> }) {
  const say = useText();
  if (polled.error === undefined) return <p class="live">{say('updated')}</p>;
  const time = polled.answeredMs === 0 ? '—' : new Date(polled.answeredMs).toLocaleTimeString();
  return (
    <p class="problem" role="status">
      {say('paused', { time })}
    </p>
  );
}

function Topology({ overview }: { readonly overview: MeshOverview }) {
  const say = useText();
  const { area, width } = useWidth();
  const { gateway, instances, num_omitted } = overview;
  const before = usePrevious(overview);
  const rates = useMemo(() => ratesOf(before, overview), [before, overview]);
  const layout = layoutMesh(instances, width);
  const byAddress = new Map(instances.map((one) => [one.address, one]));
  return (
    <>
      <div class="topology" ref={area} style={{ height: `${layout.height}px` }}>
        {width > 0 && (
          <>
            <Lines
              layout={layout}
              isLive={(id) => id === GATEWAY_ID || byAddress.get(id)?.state === 'ready'}
            />
            <ul aria-label={say('processes')}>
              {[...layout.places].map(([id, place]) => {
                const instance = byAddress.get(id);
                return (
                  <li key={id} style={placeStyle(place)}>
                    {instance === undefined ? (
                      <GatewayCard gateway={gateway} />
                    ) : (
                      <InstanceCard instance={instance} rates={rates.get(id)} />
                    )}
                  </li>
                );
              })}
            </ul>
          </>
        )}
      </div>
      {instances.length === 0 && <p class="muted">{say('meshEmpty')}</p>}
      {num_omitted > 0 && <p class="muted">{say('meshOmitted', { count: num_omitted })}</p>}
    </>
  );
}

function placeStyle({ x, y, width, height }: Place): Record<string, string> {
  return {
    transform: `translate(${x}px, ${y}px)`,
    width: `${width}px`,
    height: `${height}px`,
  };
}

interface LinesProps {
  readonly layout: MeshLayout;
  readonly isLive: (id: string) => boolean;
}

function Lines({ layout, isLive }: LinesProps) {
  return (
    <svg class="links" width={layout.width} height={layout.height} aria-hidden="true">
      {layout.links.map(({ from, to, path }) => (
        <path key={`${from} ${to}`} class={isLive(from) && isLive(to) ? 'live' : 'dead'} d={path} />
      ))}
    </svg>
  );
}

/** Follows the width of an element. */
function useWidth() {
  const area = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = area.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return { area, width };
}

/** Returns the value that came before this one; undefined at the first. */
function usePrevious<T>(value: T): T | undefined {
  const seen = useRef<{ readonly now: T; readonly before: T | undefined }>({
    now: value,
    before: undefined,
  });
  if (seen.current.now !== value) seen.current = { now: value, before: seen.current.now };
  return seen.current.before;
}
