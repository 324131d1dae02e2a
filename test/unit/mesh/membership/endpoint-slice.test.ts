import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EndpointSlice, membersOf } from '#mesh/membership/endpoint-slice.ts';
import { memberAt } from '#mesh/peers/membership.ts';

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

function sliceOf(endpoints: Endpoint[], facts: Partial<EndpointSlice> = {}): EndpointSlice {
  const ports = [{ name: 'grpc', port: 8051 }];
  return { metadata: { name: 's' }, addressType: 'IPv4', endpoints, ports, ...facts };
}

describe('membersOf', () => {
  it('lists what is ready, with its zone', () => {
    const slice = sliceOf([
      { addresses: ['10.0.0.2'], zone: 'north', conditions: { ready: true } },
      { addresses: ['10.0.0.1'] },
      { addresses: ['10.0.0.3'], conditions: { ready: false } },
    ]);

    assert.deepEqual(membersOf([slice]), [
      memberAt('10.0.0.1:8051'),
      { ...memberAt('10.0.0.2:8051'), zone: 'north' },
    ]);
  });

  for (const { what, conditions, isLeaving } of [
    {
      what: 'serves',
      conditions: { ready: false, serving: true, terminating: true },
      isLeaving: true,
    },
    { what: 'does not', conditions: { ready: false, serving: false, terminating: true } },
  ]) {
    it(`says that an endpoint that terminates leaves if it still serves: one that ${what}`, () => {
      const members = membersOf([sliceOf([{ addresses: ['10.0.0.1'], conditions }])]);

      assert.deepEqual(members, isLeaving ? [{ ...memberAt('10.0.0.1:8051'), isLeaving }] : []);
    });
  }

  it('puts IPv6 addresses in brackets and skips names', () => {
    const six = sliceOf([{ addresses: ['fd00::1'] }], { addressType: 'IPv6' });
    const named = sliceOf([{ addresses: ['pod.example'] }], { addressType: 'FQDN' });

    assert.deepEqual(membersOf([six, named]), [memberAt('[fd00::1]:8051')]);
  });

  it('takes the port named grpc, or the only one', () => {
    const two = {
      ports: [
        { name: 'http', port: 80 },
        { name: 'grpc', port: 8052 },
      ],
    };
    const only = { ports: [{ name: null, port: 9000 }] };
    const neither = {
      ports: [
        { name: 'a', port: 1 },
        { name: 'b', port: 2 },
      ],
    };
    const slices = [two, only, neither].map((ports, i) =>
      sliceOf([{ addresses: [`10.0.0.${i}`] }], ports),
    );

    assert.deepEqual(membersOf(slices), [memberAt('10.0.0.0:8052'), memberAt('10.0.0.1:9000')]);
  });

  it('names an endpoint once that is in two slices, as the one that stays', () => {
    const going = { addresses: ['10.0.0.1'], conditions: { serving: true, terminating: true } };
    const staying = { addresses: ['10.0.0.1'] };

    for (const slices of [
      [going, staying],
      [staying, going],
    ]) {
      const members = membersOf(slices.map((endpoint) => sliceOf([endpoint])));

      assert.deepEqual(members, [memberAt('10.0.0.1:8051')]);
    }
  });
});
