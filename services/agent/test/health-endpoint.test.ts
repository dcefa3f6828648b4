// SPDX-License-Identifier: Apache-2.0
/** Health endpoints in the plan: of this host a workload, of others an address; as the network document says. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { weir_identity } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { cidrOfAddress, parseIp } from '@weir/net';
import { Families, Routing } from '@weir/proto/weir/bus/v1/config_pb.js';
import { HEALTH_ENDPOINT } from '../src/plan/health-endpoint.ts';
import { prefixText } from '../src/plan/ipcache.ts';
import { Planner } from '../src/plan/planner.ts';
import { endpointHostEntry, networkEntry, policyEntry, removal } from './support/entries.ts';

const NETNS = '/run/netns/health';
const host = (id: string, healthIp4 = `10.${id.slice(1)}.0.1`): ConfigEntry =>
  endpointHostEntry(id, healthIp4, `fd00:${id.slice(1)}::1`);

const planner = (healthNetns: string | undefined, ...entries: ConfigEntry[]): Planner => {
  const plan = new Planner({ host: 'h1', allowHost: true, healthNetns });
  plan.setFacts({ addresses: ['192.0.2.1'], configurationComplete: true });
  for (const one of entries) plan.change(one);
  return plan;
};
const identityAt = (plan: Planner, ip: string): number | undefined => {
  const { addr, bits128 } = cidrOfAddress(parseIp(ip));
  return plan.ipcache.get(prefixText(addr, bits128))?.identity;
};
const { IDENTITY_HEALTH } = weir_identity;

describe('health endpoints', () => {
  it('are a workload here, an address elsewhere, without any document but the hosts', () => {
    const plan = planner(NETNS, host('h1'), host('h2'));
    const { workloads, errors } = plan.compute();
    assert.deepEqual(errors, []);
    const own = workloads.get(HEALTH_ENDPOINT);
    assert.deepEqual([workloads.size, own?.identity, own?.waiting], [1, IDENTITY_HEALTH, '']);
    assert.deepEqual([own?.wiring.netns, own?.wiring.ip4, own?.wiring.ip6], [NETNS, '10.1.0.1', 'fd00:1::1']);
    assert.equal(own?.policy?.enabled, 'none');
    for (const ip of ['10.1.0.1', 'fd00:1::1', '10.2.0.1', 'fd00:2::1'])
      assert.equal(identityAt(plan, ip), IDENTITY_HEALTH);
  });

  it('of a host that has no namespaces is an address too, and no workload', () => {
    const plan = planner(undefined, host('h1'), host('h2'));
    assert.equal(plan.compute().workloads.size, 0);
    assert.equal(identityAt(plan, '10.2.0.1'), IDENTITY_HEALTH);
  });

  it('come and go with the network document, in whatever order it comes', () => {
    const off = networkEntry({ health: { enabled: true, endpoints: false } });
    for (const plan of [planner(NETNS, host('h1'), host('h2'), off), planner(NETNS, off, host('h1'), host('h2'))]) {
      assert.equal(plan.compute().workloads.size, 0);
      assert.equal(identityAt(plan, '10.2.0.1'), undefined);
      plan.change(networkEntry({ health: { enabled: true } }));
      assert.deepEqual([plan.compute().workloads.size, identityAt(plan, '10.2.0.1')], [1, IDENTITY_HEALTH]);
      plan.change(networkEntry({ health: { enabled: false } }));
      assert.deepEqual([plan.compute().workloads.size, identityAt(plan, '10.2.0.1')], [0, undefined]);
      plan.change(networkEntry({ families: Families.IPV6 }));
      assert.deepEqual(
        [plan.compute().workloads.get(HEALTH_ENDPOINT)?.wiring.ip4, identityAt(plan, '10.2.0.1')],
        ['', undefined],
      );
      plan.change(removal('network', 'fleet'));
      assert.equal(plan.compute().workloads.get(HEALTH_ENDPOINT)?.wiring.ip4, '10.1.0.1');
    }
  });

  it('go with their host, and move with its pools', () => {
    const plan = planner(NETNS, host('h1'), host('h2'));
    plan.change(host('h2', '10.3.0.1'));
    assert.deepEqual([identityAt(plan, '10.2.0.1'), identityAt(plan, '10.3.0.1')], [undefined, IDENTITY_HEALTH]);
    plan.change(removal('host', 'h2'));
    assert.deepEqual([identityAt(plan, '10.3.0.1'), identityAt(plan, 'fd00:2::1')], [undefined, undefined]);
    plan.change(removal('host', 'h1'));
    assert.equal(plan.compute().workloads.size, 0);
  });

  it('may be claimed in the tunnel, and have policies of their own', () => {
    const plan = planner(NETNS, host('h1'), host('h2'), networkEntry({ routing: Routing.TUNNEL }));
    assert.ok(plan.compute().identities.has(IDENTITY_HEALTH));
    const document = {
      ...{ apiVersion: 'cilium.io/v2', kind: 'CiliumClusterwideNetworkPolicy', metadata: { name: 'health' } },
      spec: {
        endpointSelector: { matchLabels: { 'reserved:health': '' } },
        ingress: [{ fromEntities: ['remote-node'] }],
      },
    };
    plan.change(policyEntry(document));
    assert.equal(plan.compute().workloads.get(HEALTH_ENDPOINT)?.policy?.enabled, 'ingress');
  });

  it('with an address that is none is refused with the field, and there is none', () => {
    const { errors, workloads } = planner(NETNS, host('h1', '10.1.0.300')).compute();
    assert.match(errors[0]?.message ?? '', /health_ip4 "10\.1\.0\.300" is not an IP address/);
    assert.equal(workloads.size, 0);
  });
});
