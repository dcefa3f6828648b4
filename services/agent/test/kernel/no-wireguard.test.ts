// SPDX-License-Identifier: Apache-2.0
/**
 * A host that cannot encrypt (its kernel has no WireGuard, or its key cannot be kept) says so and is said to have no key; in
 * strict mode nothing goes out in the clear all the same, and what comes so is not heard.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { weir_drop_reason } from '@weir/bpf';
import { needKernel } from '@weir/loader/testing';
import { identityEntry, networkEntry } from '../support/entries.ts';
import { inside, type Joined, type JoinedHost, joinHosts } from '../support/joined-hosts.ts';
import { leftovers } from '../support/netns.ts';

const place = (host: number, identity: number) => ({
  ...{ id: `prod.app${host}`, ip4: `10.9${host}.0.2`, ip6: `fd9${host}::2`, identity },
});
const A = place(1, 1001);
const B = place(2, 1002);
const PATIENT_MS = 5_000;
const SHORT_MS = 500;
const STRICT_OUT = { enabled: true, strictCidrs: ['10.0.0.0/8'] };
const STRICT_IN = { enabled: true, strictIngress: true };

describe('a host that cannot encrypt', { skip: needKernel(), timeout: 120_000 }, () => {
  let net: Joined;
  let h1: JoinedHost;
  let h2: JoinedHost;
  const tcp = (host: string, timeoutMs = PATIENT_MS) =>
    h1.workloads[0]?.resident.ask({ op: 'tcp', host, port: 80, timeoutMs });
  before(async () => {
    net = await joinHosts([[A], [B], []]);
    [h1, h2] = net.hosts;
    const documents = [
      ...[A, B].map(({ identity }) => identityEntry(identity, `k8s:n=${identity}`)),
      ...[h1, h2].map(({ document }) => document),
      ...[h1, h2].flatMap(({ workloads }) => workloads.map(({ document }) => document)),
    ];
    await h2.workloads[0]?.resident.ask({ op: 'listen', port: 80 });
    for (const host of [h1, h2]) {
      // also where the kernel could
      host.keyPath = '/proc/nowhere/wireguard.key';
      await host.start(documents);
    }
  });
  after(async () => {
    for (const host of [h1, h2]) await host?.stop();
    await net?.destroy();
    assert.deepEqual(leftovers(), []);
  });

  it('says so, has no key, and goes on in the clear as before', async () => {
    for (const host of [h1, h2]) await host.tell(networkEntry({ wireguard: { enabled: true } }));
    assert.match(h1.failures.join(), /has no WireGuard|wireguard\.key/);
    assert.equal(h1.publicKey, '');
    assert.deepEqual(h1.peers, { h2: 'no-key' });
    assert.equal(await tcp(B.ip4), 'ok');
    assert.equal(await tcp(B.ip6), 'ok');
  });

  it('strict: what its workloads send to others is dropped on its way out, as a flow with 195', async () => {
    await h1.tell(networkEntry({ wireguard: STRICT_OUT }));
    assert.equal(await tcp(B.ip4, SHORT_MS), 'timeout');
    assert.ok((await h1.dropped('DROP_UNENCRYPTED', 'egress')) > 0);
    assert.equal(await h2.dropped('DROP_UNENCRYPTED'), 0, 'none arrived');
    const flow = await h1.flow(({ dropReason }) => dropReason === weir_drop_reason.DROP_UNENCRYPTED);
    assert.deepEqual([flow.sourceIdentity, flow.destinationIdentity, flow.encrypted], [A.identity, B.identity, false]);
    // outside the prefixes of strict mode
    assert.equal(await tcp(B.ip6), 'ok');
  });

  it('strict: what comes in the clear is dropped where it comes in', async () => {
    await h1.tell(networkEntry({}));
    assert.equal(await tcp(B.ip6), 'ok');
    await h2.tell(networkEntry({ wireguard: STRICT_IN }));
    assert.equal(await tcp(B.ip6, SHORT_MS), 'timeout');
    assert.ok((await h2.dropped('DROP_UNENCRYPTED')) > 0);
    const flow = await h2.flow(({ dropReason }) => dropReason === weir_drop_reason.DROP_UNENCRYPTED);
    assert.deepEqual([flow.sourceIdentity, flow.destinationIdentity], [A.identity, B.identity]);
  });

  it('strict: it stays so without an agent, and ends when it is taken back', async () => {
    await h2.stop();
    assert.equal(await tcp(B.ip4, SHORT_MS), 'timeout');
    await h2.start([
      ...[A, B].map(({ identity }) => identityEntry(identity, `k8s:n=${identity}`)),
      ...[h1, h2].map(({ document }) => document),
      ...[h1, h2].flatMap(({ workloads }) => workloads.map(({ document }) => document)),
    ]);
    assert.equal(await tcp(B.ip4), 'ok');
    assert.equal(inside('h2', 'ip', '-o', 'link').includes('weir_wg0'), false);
  });
});
