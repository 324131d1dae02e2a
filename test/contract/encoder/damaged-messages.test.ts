import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { EncodeRequest } from '#protos/autoglm/encoder/v1/encoder.ts';
import { RawCaller } from '#test/contract/raw-call.ts';
import { checkMutants, type Specimen } from '#test/mutations.ts';
import { pngOf, startVision } from './harness.ts';

const PATH = '/autoglm.encoder.v1.EncoderService/Encode';

describe('a damaged message to an encoder is answered or refused', () => {
  it('Encode', async (t) => {
    const { process } = await startVision(t);
    const caller = new RawCaller(process.address);
    t.after(() => caller.close());
    const image = await pngOf(7);
    const encoded = (event: EncodeRequest['event']) =>
      Buffer.from(EncodeRequest.encode(EncodeRequest.fromPartial({ event })).finish());
    const bytes = encoded({
      $case: 'header',
      value: {
        requestId: 'a',
        mediaType: 'image/png',
        contentHash: createHash('sha256').update(image).digest(),
        options: undefined,
        expectedFingerprint: '',
        sizeBytes: BigInt(image.length),
        cacheSalt: 'b',
        clientId: 'c',
        reachableDevices: ['GPU-1'],
        sharedMemorySecret: Buffer.alloc(0),
      },
    });
    const fields = Array.from({ length: bytes.length }, (_, at) => ({ at, numBytes: 1 }));
    const header: Specimen = { name: 'header', bytes, fields };
    const chunk = encoded({ $case: 'chunk', value: image });
    const outcomes = { numAnswered: 0, numRefused: 0 };
    assert(await caller.isAnswered(PATH, [bytes, chunk]), 'refused undamaged');

    await checkMutants([header], 200, async (damaged) => {
      if (await caller.isAnswered(PATH, [damaged, chunk])) outcomes.numAnswered += 1;
      else outcomes.numRefused += 1;
    });

    assert(outcomes.numAnswered > 0 && outcomes.numRefused > 0, JSON.stringify(outcomes));
  });
});
