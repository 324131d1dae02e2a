import { attributesIn, listIn, type OtlpMessage, recordIn } from './otlp-messages.ts';

/** A span as it was sent, and what sent it. */
interface SentSpan {
  readonly resource: OtlpMessage;
  readonly scope: OtlpMessage;
  readonly span: OtlpMessage;
}

const textIn = (message: OtlpMessage, name: string): string => String(message[name] ?? '');
const nsIn = (message: OtlpMessage, name: string): bigint => BigInt(textIn(message, name));

/**
 * Makes one export request of a whole trace, as a file to be kept: spans are numbered from the
 * root on in the order of a waterfall, times count from the root's begin, and no process is named.
 */
export function keptTrace(requests: readonly OtlpMessage[]): OtlpMessage {
  const all = requests.flatMap(sentSpans);
  const inOrder = waterfall(all);
  const [root] = inOrder;
  const beginNs = root === undefined ? 0n : nsIn(root.span, 'startTimeUnixNano');
  const ids = new Map(
    inOrder.map(({ span }, at) => [textIn(span, 'spanId'), String(at + 1).padStart(16, '0')]),
  );
  const renamed = (id: string) => ids.get(id) ?? id;
  const since = (span: OtlpMessage, name: string) => String(nsIn(span, name) - beginNs);
  const kept = inOrder.map(({ span, ...origin }) => ({
    ...origin,
    span: {
      ...span,
      spanId: renamed(textIn(span, 'spanId')),
      parentSpanId: renamed(textIn(span, 'parentSpanId')),
      startTimeUnixNano: since(span, 'startTimeUnixNano'),
      endTimeUnixNano: since(span, 'endTimeUnixNano'),
      ...(span['links'] !== undefined && {
        links: listIn(span, 'links').map((link) => ({
          ...link,
          spanId: renamed(textIn(link, 'spanId')),
        })),
      }),
    },
  }));
  const services = [...new Set(kept.map(serviceOf))];
  return {
    resourceSpans: services.map((service) => {
      const own = kept.filter((one) => serviceOf(one) === service);
      const { resource = {}, scope = {} } = own[0] ?? {};
      const attributes = listIn(resource, 'attributes').filter(
        ({ key }) => key !== 'service.instance.id',
      );
      return {
        resource: { ...resource, attributes },
        scopeSpans: [{ scope, spans: own.map(({ span }) => span) }],
      };
    }),
  };
}

/** What two runs of one request have in common: a span, and the spans that are parts of it. */
export interface TraceShape {
  readonly service: string;
  readonly name: string;
  readonly kind: unknown;
  readonly status: unknown;
  /** Names of its attributes, each with the kind of its value. */
  readonly attributes: readonly string[];
  readonly numLinks: number;
  readonly parts: readonly TraceShape[];
}

/** Returns the shapes of the root spans of export requests, without ids, times and values. */
export function traceShapes(requests: readonly OtlpMessage[]): TraceShape[] {
  const all = requests.flatMap(sentSpans);
  return rootsOf(all).map((root) => shapeOf(root, all));
}

function shapeOf(sent: SentSpan, all: readonly SentSpan[]): TraceShape {
  const { span } = sent;
  return {
    service: serviceOf(sent),
    name: textIn(span, 'name'),
    kind: span['kind'],
    status: recordIn(span, 'status')['code'] ?? 0,
    attributes: listIn(span, 'attributes')
      .map((one) => `${textIn(one, 'key')}: ${Object.keys(recordIn(one, 'value')).join()}`)
      .sort(),
    numLinks: listIn(span, 'links').length,
    parts: partsOf(sent, all)
      .map((part) => shapeOf(part, all))
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  };
}

function waterfall(all: readonly SentSpan[]): SentSpan[] {
  const below = (sent: SentSpan): SentSpan[] => [sent, ...partsOf(sent, all).flatMap(below)];
  return rootsOf(all).flatMap(below);
}

function rootsOf(all: readonly SentSpan[]): SentSpan[] {
  const ids = new Set(all.map(({ span }) => textIn(span, 'spanId')));
  return all.filter(({ span }) => !ids.has(textIn(span, 'parentSpanId')));
}

/** Returns the spans that have this one as their parent, in the order in which they began. */
function partsOf({ span }: SentSpan, all: readonly SentSpan[]): SentSpan[] {
  const id = textIn(span, 'spanId');
  return all
    .filter((one) => textIn(one.span, 'parentSpanId') === id)
    .sort((a, b) =>
      nsIn(a.span, 'startTimeUnixNano') < nsIn(b.span, 'startTimeUnixNano') ? -1 : 1,
    );
}

function sentSpans(request: OtlpMessage): SentSpan[] {
  return listIn(request, 'resourceSpans').flatMap((part) =>
    listIn(part, 'scopeSpans').flatMap((one) =>
      listIn(one, 'spans').map((span) => ({
        resource: recordIn(part, 'resource'),
        scope: recordIn(one, 'scope'),
        span,
      })),
    ),
  );
}

function serviceOf({ resource }: Pick<SentSpan, 'resource'>): string {
  return String(attributesIn(resource)['service.name']);
}
