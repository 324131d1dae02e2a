import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '#mesh/async/clock.ts';
import { EtcdClient } from '#mesh/etcd/etcd-client.ts';
import { LEASE_TTL_S } from '#mesh/etcd/etcd-timing.ts';
import { parseHostPort } from '#mesh/port-probe.ts';
import { parseRegistry } from '#mesh/registry-url.ts';
import { within } from '#test/bounded.ts';
import { FaultProxy } from '#test/chaos/fault-proxy.ts';
import { PASS } from '#test/chaos/link-fault.ts';
import { KEYS } from '#test/contract/mesh/etcd/harness.ts';
import {
  type EtcdMember,
  registryAt,
  skipWithoutEtcd,
  startEtcd,
} from '#test/contract/mesh/etcd/real-etcd.ts';
import { property } from '#test/e2e/mesh.ts';
import { RegistryMesh, type Running } from '#test/e2e/registry/registry-mesh.ts';
import { postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { runLoad } from '#test/e2e/request/load.ts';

/**
 * Time for which everybody is cut off from etcd after all leases have ended, ms; it is for longer
 * runs, as in `PARTITION_SECONDS=60`.
 */
const CUT_OFF_MS = 1000 * Number(process.env['PARTITION_SECONDS'] ?? 0);
/** Longest time after a partition until all is as before, ms. */
const CONVERGENCE_MS = 2000;

/** Milliseconds between two looks at what is waited for. */
const LOOK_INTERVAL_MS = 50;

describe('a registry that fails under traffic', { skip: skipWithoutEtcd }, () => {
  const afters: (() => unknown)[] = [];
  let etcd: EtcdMember;
  /** What the gateway reaches etcd through, and what the backbones do. */
  let proxy: FaultProxy;
  let backboneProxy: FaultProxy;
  let mesh: RegistryMesh;
  let backbones: readonly Running[];
  /** Sees etcd without the proxy. */
  let observer: EtcdClient;

  before(async () => {
    const [member] = await startEtcd({ after: (end) => afters.unshift(end) });
    assert(member !== undefined);
    etcd = member;
    const { port: targetPort } = parseHostPort(etcd.address);
    proxy = await FaultProxy.open({ targetPort });
    backboneProxy = await FaultProxy.open({ targetPort });
    afters.unshift(
      () => proxy.close(),
      () => backboneProxy.close(),
    );
    const address = parseRegistry(registryAt([etcd.address]));
    assert(address.kind === 'etcd');
    observer = new EtcdClient(address, systemClock);
    afters.unshift(() => observer.close());
    const [ofGateway = '', ofOthers] = [proxy, backboneProxy].map((one) =>
      registryAt([one.address]),
    );
    mesh = await RegistryMesh.start(ofGateway, ofOthers);
    afters.unshift(() => mesh.kill());
    backbones = [await mesh.runBackbone(), await mesh.runBackbone()];
  });
  after(async () => {
    for (const end of afters) await end();
  });

  /** Keeps a stream and short requests going meanwhile, and asserts that none failed. */
  async function withTraffic(work: () => Promise<void>): Promise<void> {
    const over = new AbortController();
    const until = over.signal;
    const outcomes: unknown[] = [];
    const askShort = async () => {
      while (!until.aborted) {
        const { status, body } = await postChat(mesh.url, { messages: userMessage('你是谁?') });
        const text = property(body, 'choices', 0, 'message', 'content');
        outcomes.push(status === 200 ? text : JSON.stringify(body));
      }
    };
    const traffic = Promise.all([
      runLoad({ url: mesh.url, numStreams: 1, until }),
      askShort(),
      askShort(),
    ]);
    await work().finally(() => over.abort());
    const [streams] = await traffic;

    assert.deepEqual(new Set(outcomes), new Set([GOLDEN_TEXTS[0]?.answer]));
    assert(streams.length > 0);
    for (const { done, error } of streams) assert(done, error);
  }

  async function lookUntil(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const look = async () => {
      while (!(await isSo())) await delay(LOOK_INTERVAL_MS);
    };
    await within(look(), { what });
  }

  /** Resolves when so many backbones are registered. */
  const untilRegistered = (count: number) =>
    lookUntil(`${count} registered backbones`, async () => {
      const { keys } = await observer.list(KEYS, new AbortController().signal);
      return keys.length === count;
    });

  /** Tells whether the gateway knows of a backbone, ready or not. */
  async function isInView({ listen }: Running): Promise<boolean> {
    const metrics = await (await fetch(`${mesh.url}/metrics`)).text();
    return metrics.includes(`gateway_backbone_ready{address="${listen}"`);
  }

  it('costs no request when it is killed and started again', async () => {
    const from = mesh.gateway.lines.seen.length;

    await withTraffic(async () => {
      await etcd.kill();
      await mesh.gateway.lines.match(/cannot be followed: .* stays as it was/, from);
      await delay(LEASE_TTL_S * 1000);
      await etcd.start();
      await mesh.gateway.lines.match(/llm-backbone.* up to date/, from);
      await untilRegistered(2);
    });
  });

  it('costs no request when it is cut off until all leases have ended', async (test) => {
    const from = mesh.gateway.lines.seen.length;

    await withTraffic(async () => {
      for (const one of [proxy, backboneProxy]) await one.set({ kind: 'black hole' });
      await untilRegistered(0);
      await delay(CUT_OFF_MS);
      const healedMs = performance.now();
      for (const one of [proxy, backboneProxy]) await one.set(PASS);
      await mesh.gateway.lines.match(/llm-backbone.* up to date/, from);
      await untilRegistered(2);
      const convergedMs = performance.now() - healedMs;

      assert(convergedMs < CONVERGENCE_MS, `it took ${convergedMs} ms after the partition`);
      test.diagnostic(`up to date and registered ${convergedMs.toFixed(0)} ms after the partition`);
    });
    for (const one of backbones) assert(await isInView(one), `${one.listen} is gone`);
  });

  it('costs no request when only the backbones are cut off and their entries end', async () => {
    await withTraffic(async () => {
      await backboneProxy.set({ kind: 'black hole' });
      await untilRegistered(0);
      // The gateway has been told, and hears the backbones themselves.
      await delay(1000);
      await backboneProxy.set(PASS);
      await untilRegistered(2);
    });
  });

  it('no longer has a killed backbone after its lease, and the picker within a second', async () => {
    const [dying] = backbones;
    assert(dying !== undefined);
    const from = mesh.gateway.lines.seen.length;
    assert(await isInView(dying));

    await withTraffic(async () => {
      const killedMs = performance.now();
      dying.child.kill('SIGKILL');
      await mesh.gateway.lines.match(new RegExp(`backbone ${dying.listen} is not ready`), from);
      const pickerMs = performance.now() - killedMs;
      await lookUntil('a view without it', async () => !(await isInView(dying)));
      const viewMs = performance.now() - killedMs;

      assert(pickerMs < 1000, `the picker took ${pickerMs} ms`);
      assert(viewMs < (LEASE_TTL_S + 1) * 1000, `the view took ${viewMs} ms`);
    });
  });
});
