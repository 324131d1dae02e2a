import { Fragment } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { RequestList, RequestView } from '#mesh/trace/request-view.ts';
import { ApiError, askJson } from '../client/api.ts';
import { usePolling } from '../client/polling.ts';
import { Icon } from '../parts/icon.tsx';
import { useText } from '../text/language.tsx';
import { durationText } from '../text/quantities.ts';
import { hasGap, mergeRequests, unheardOf } from './known-requests.ts';
import { Plots } from './plots.tsx';
import { isError, MAX_GIVEN, seriesOf } from './series.ts';
import { Waterfall } from './waterfall.tsx';

/** Milliseconds between two looks at the requests. */
const INTERVAL_MS = 2000;
/** Requests that are asked for at each look; those in between only if there may be some. */
const NUM_NEWEST = 50;
/** Most requests that are asked for one by one, which ran and are no longer among the newest. */
const MAX_ASKED_APART = 8;
/** Requests that the list shows. */
const NUM_LISTED = 100;

export interface RequestsViewProps {
  readonly onKeyNeeded: () => void;
}

/** The last requests, and how they fared over the last minutes. */
export function RequestsView({ onKeyNeeded }: RequestsViewProps) {
  const say = useText();
  const { requests, error } = useRequests();
  const isAboutKey = error instanceof ApiError && error.isAboutKey;
  useEffect(() => {
    if (isAboutKey) onKeyNeeded();
  }, [isAboutKey]);
  return (
    <div class="requests">
      <header class="view-head">
        <h2>{say('requests')}</h2>
        <p class="muted">{say('requestsIntro')}</p>
      </header>
      {error instanceof ApiError && !isAboutKey && (
        <p class="problem" role="status">
          {error.message || say('errorNetwork')}
        </p>
      )}
      {requests === undefined ? (
        <p class="muted">{say('loading')}</p>
      ) : (
        <>
          <Plots series={seriesOf(requests, Date.now())} />
          {requests.length === 0 ? (
            <p class="muted">{say('requestsEmpty')}</p>
          ) : (
            <RequestTable requests={requests.slice(0, NUM_LISTED)} />
          )}
        </>
      )}
    </div>
  );
}

function useRequests(): { requests: readonly RequestView[] | undefined; error: unknown } {
  const known = useRef<readonly RequestView[]>([]);
  const { value, error } = usePolling(async (signal) => {
    const list = async (query: string) => {
      const { data } = await askJson<RequestList>(`v1/autoglm/requests?${query}`, { signal });
      return data;
    };
    let news = await list(`limit=${NUM_NEWEST}`);
    let unheard = unheardOf(known.current, news);
    if (hasGap(known.current, news, NUM_NEWEST) || unheard.length > MAX_ASKED_APART) {
      news = await list(`limit=${MAX_GIVEN}`);
      unheard = unheardOf(known.current, news);
    }
    const asked = unheard.slice(0, MAX_ASKED_APART);
    const found = await Promise.all(
      asked.map(({ id }) => list(`limit=1&id=${encodeURIComponent(id)}`)),
    );
    known.current = mergeRequests(known.current, [...news, ...found.flat()], asked);
    return known.current;
  }, INTERVAL_MS);
  return { requests: value, error };
}

function RequestTable({ requests }: { readonly requests: readonly RequestView[] }) {
  const say = useText();
  const [openId, setOpenId] = useState<string>();
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            <th scope="col">{say('columnTime')}</th>
            <th scope="col">{say('columnRoute')}</th>
            <th scope="col">{say('columnStatus')}</th>
            <th scope="col">{say('columnTtft')}</th>
            <th scope="col">{say('columnTotal')}</th>
            <th scope="col">{say('columnTokens')}</th>
            <th scope="col">{say('columnEndpoint')}</th>
          </tr>
        </thead>
        <tbody>
          {requests.map((request) => {
            const id = `${request.started_ms}-${request.id}`;
            const isOpen = openId === id;
            return (
              <Fragment key={id}>
                <RequestRow
                  request={request}
                  isOpen={isOpen}
                  onToggle={() => setOpenId(isOpen ? undefined : id)}
                />
                {isOpen && (
                  <tr class="opened">
                    <td colSpan={7}>
                      <Waterfall request={request} />
                    </td>
                  </tr>
                )}
              </Fragment>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

interface RequestRowProps {
  readonly request: RequestView;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}

function RequestRow({ request, isOpen, onToggle }: RequestRowProps) {
  const say = useText();
  const { ttft_ms, duration_ms, input_tokens, output_tokens, status, error } = request;
  return (
    <tr class={isError(request) ? 'failed' : undefined}>
      <td data-label={say('columnTime')}>
        <button type="button" class="quiet disclose" aria-expanded={isOpen} onClick={onToggle}>
          <Icon name="chevron" />
          {new Date(request.started_ms).toLocaleTimeString()}
          <span class="unseen">{say('waterfall', { id: request.id })}</span>
        </button>
      </td>
      <td data-label={say('columnRoute')}>
        <code>{request.route}</code>
      </td>
      <td data-label={say('columnStatus')}>
        {status ?? <span class="muted">{say('running')}</span>}
        {error !== null && <small class="reason">{error}</small>}
      </td>
      <td data-label={say('columnTtft')}>{ttft_ms === null ? '—' : durationText(ttft_ms)}</td>
      <td data-label={say('columnTotal')}>
        {duration_ms === null ? '—' : durationText(duration_ms)}
      </td>
      <td data-label={say('columnTokens')}>
        {input_tokens ?? '—'} / {output_tokens ?? '—'}
      </td>
      <td data-label={say('columnEndpoint')} class="muted">
        {request.endpoint ?? '—'}
      </td>
    </tr>
  );
}
