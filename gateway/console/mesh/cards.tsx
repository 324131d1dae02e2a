import type { InstanceRates } from '#mesh/overview/instance-rates.ts';
import type {
  GatewayOverview,
  InstanceOverview,
  InstanceOverviewRole,
} from '#mesh/overview/mesh-overview.ts';
import { State } from '../parts/state.tsx';
import type { TextKey } from '../text/en.ts';
import { useText } from '../text/language.tsx';
import { ageText, numberText, percentText } from '../text/quantities.ts';

type Say = ReturnType<typeof useText>;

const ROLE_TEXTS: Readonly<Record<InstanceOverviewRole, TextKey>> = {
  'llm-backbone': 'backbone',
  'vision-encoder': 'visionEncoder',
  'speech-encoder': 'speechEncoder',
  encoder: 'encoder',
};

/** The gateway that serves this page. */
export function GatewayCard({ gateway }: { readonly gateway: GatewayOverview }) {
  const say = useText();
  const { num_requests, max_requests } = gateway;
  return (
    <article class="card gateway">
      <header>
        <h3>{say('gateway')}</h3>
        <State state={gateway.state} />
      </header>
      <p class="muted ellipsis">
        {gateway.version} · {say('uptime', { time: ageText(gateway.uptime_ms) })}
      </p>
      <Meter
        label={say('inFlight')}
        value={say('loadOf', { running: num_requests, capacity: max_requests })}
        share={num_requests / max_requests}
      />
    </article>
  );
}

export interface InstanceCardProps {
  readonly instance: InstanceOverview;
  readonly rates: InstanceRates | undefined;
}

/** A backbone or an encoder. */
export function InstanceCard({ instance, rates }: InstanceCardProps) {
  const say = useText();
  const { state, detail, load, role, model, address } = instance;
  const tokenRate = rates?.tokenRate;
  return (
    <article class={`card ${role} is-${state}`}>
      <header>
        <h3>{say(ROLE_TEXTS[role])}</h3>
        <State state={state} />
      </header>
      <p class="ellipsis">
        {model ?? '—'} <span class="muted">{runText(instance, say)}</span>
      </p>
      <p class="muted ellipsis">{machineText(instance)}</p>
      <p class="muted ellipsis">{address}</p>
      {load === null || detail !== '' ? (
        <p class="muted detail">{detail}</p>
      ) : (
        <>
          <Meter
            label={say('load')}
            value={loadText(instance, say)}
            share={load.num_running / Math.max(1, load.capacity)}
          />
          {load.kv_cache_use !== null && (
            <Meter
              label={say('kvCache')}
              value={percentText(load.kv_cache_use)}
              share={load.kv_cache_use}
            />
          )}
        </>
      )}
      <p class="muted ellipsis card-foot">
        {[
          rates?.hitShare === undefined
            ? undefined
            : `${say('cacheHits')} ${percentText(rates.hitShare)}`,
          tokenRate === undefined ? undefined : say('rate', { count: numberText(tokenRate) }),
        ]
          .filter((part) => part !== undefined)
          .join(' · ')}
      </p>
    </article>
  );
}

/** Which software it is, and for how long it has run. */
function runText({ version, uptime_ms, state }: InstanceOverview, say: Say): string {
  const isAway = uptime_ms === null || state === 'away';
  const parts = [version, isAway ? null : say('uptime', { time: ageText(uptime_ms) })];
  return parts.filter((part) => part !== null).join(' · ');
}

/** What it runs on, and with which weights. */
function machineText({ device, isa, weight_dtype, quantization }: InstanceOverview): string {
  const parts = [device, isa, quantization ?? weight_dtype];
  return parts.filter((part) => part !== null).join(' · ');
}

function loadText({ load }: InstanceOverview, say: Say): string {
  if (load === null) return '';
  const running = say('loadOf', { running: load.num_running, capacity: load.capacity });
  if (load.num_waiting === 0) return running;
  return `${running}, ${say('waiting', { count: load.num_waiting })}`;
}

interface MeterProps {
  readonly label: string;
  readonly value: string;
  /** 0 to 1. */
  readonly share: number;
}

/** A quantity and how much of its limit it is. */
function Meter({ label, value, share }: MeterProps) {
  const percent = Math.min(100, Math.max(0, share * 100));
  return (
    <div class="meter">
      <span class="muted">{label}</span>
      <span>{value}</span>
      <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="4" rx="2" />
        <rect class={percent > 90 ? 'fill full' : 'fill'} width={percent} height="4" rx="2" />
      </svg>
    </div>
  );
}
