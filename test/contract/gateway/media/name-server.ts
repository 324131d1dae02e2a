import { createSocket } from 'node:dgram';

/** Addresses of a name; a name that is `silent` is never answered. */
export type NameRecords = Readonly<
  Record<string, { readonly four?: string; readonly six?: string } | 'silent'>
>;

export interface NameServer {
  /** Its address and port, as a resolver takes them. */
  readonly address: string;
  /** Questions so far, such as "A media.example", in order. */
  readonly questions: readonly string[];
  close(): Promise<void>;
}

const TYPES: Readonly<Record<number, 'A' | 'AAAA'>> = { 1: 'A', 28: 'AAAA' };
const HEADER_BYTES = 12;

/** Starts a name server on loopback (RFC 1035 §4) that knows these names and no others. */
export async function startNameServer(records: NameRecords): Promise<NameServer> {
  const questions: string[] = [];
  const socket = createSocket('udp4', (query, sender) => {
    const { name, type, end } = question(query);
    questions.push(`${type} ${name}`);
    const record = records[name];
    if (record === 'silent') return;
    const address = type === 'A' ? record?.four : record?.six;
    const answer = address === undefined ? Buffer.alloc(0) : resource(type, address);
    const header = Buffer.from(query.subarray(0, HEADER_BYTES));
    // Answer, recursion available, and NXDOMAIN if the name is not known.
    header.writeUInt16BE(0x8180 | (record === undefined ? 3 : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(address === undefined ? 0 : 1, 6);
    header.writeUInt32BE(0, 8);
    const response = Buffer.concat([header, query.subarray(HEADER_BYTES, end), answer]);
    socket.send(response, sender.port, sender.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

interface Question {
  readonly name: string;
  readonly type: 'A' | 'AAAA';
  /** First byte after the question. */
  readonly end: number;
}

function question(query: Buffer): Question {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = TYPES[query.readUInt16BE(at + 1)] ?? 'A';
  return { name: labels.join('.').toLowerCase(), type, end: at + 5 };
}

/** Returns the record of an address; its name points to the question's. */
function resource(type: 'A' | 'AAAA', address: string): Buffer {
  const data =
    type === 'A'
      ? Buffer.from(address.split('.').map(Number))
      : Buffer.from(
          address.split(':').flatMap((word) => [parseInt(word, 16) >> 8, parseInt(word, 16) & 255]),
        );
  const head = Buffer.from([
    0xc0,
    HEADER_BYTES,
    0,
    type === 'A' ? 1 : 28,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    data.length,
  ]);
  return Buffer.concat([head, data]);
}
