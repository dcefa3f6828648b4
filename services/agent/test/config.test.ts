// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createKeys } from '@weir/bus';
import type { WeirError } from '@weir/errors';
import { loadAgentConfig } from '../src/config.ts';

const signer = createKeys('account').publicKey;
const ENV = { WEIR_AGENT_HOST: 'h1', WEIR_TRUSTED_SIGNERS: signer };

it('needs the host and whom to trust; the rest has values of its own', () => {
  const config = loadAgentConfig(ENV);
  assert.deepEqual(config, {
    host: 'h1',
    natsUrl: 'nats://127.0.0.1:4222',
    trustedSigners: [signer],
    stateDir: '/var/lib/weir/agent',
    bpffsDir: '/sys/fs/bpf/weir',
    maxConntrack: 524_288,
    maxCidrs: 65_536,
    maxIpcache: 524_288,
    natPorts: '49152-65535',
    maxNat: 131_072,
    maxServices: 262_144,
    maxServiceSockets: 262_144,
    maxServiceClients: 65_536,
    ringBytes: 8_388_608,
    eventsPerSecond: 10_000,
    processes: 'on',
    processArgsBytes: 16_384,
    processEnvBytes: 0,
    spoolMaxBytes: 268_435_456,
    processSpoolMaxBytes: 268_435_456,
    hostAccess: 'always',
    hostConfirm: 'bus',
    hostConfirmS: 60,
    hostFailsafeInbound: 'tcp:22,udp:68,udp:546,tcp:179',
    hostFailsafeOutbound: 'udp:53,tcp:53,udp:67,udp:547,tcp:179',
    resyncS: 60,
    healthNetns: '/run/weir/health.netns',
    bgpDaemon: '/usr/sbin/bird',
    bgpDir: '/run/weir/bgp',
  });
});

it('takes a spool of 8 MiB', () => {
  assert.equal(loadAgentConfig({ ...ENV, WEIR_AGENT_SPOOL_MAX_BYTES: '8388608' }).spoolMaxBytes, 8 << 20);
});

for (const [name, value] of [
  ['WEIR_AGENT_HOST', 'Not A Label'],
  ['WEIR_AGENT_STATE_DIR', 'relative/path'],
  ['WEIR_AGENT_SPOOL_MAX_BYTES', '100'],
  ['WEIR_AGENT_RING_BYTES', '5000'],
  ['WEIR_AGENT_HOST_ACCESS', 'sometimes'],
  ['WEIR_AGENT_NAT_PORTS', '50000-40000'],
  ['WEIR_AGENT_NAT_PORTS', '80-90'],
  ['WEIR_AGENT_NAT_PORTS', '60000'],
  ['WEIR_AGENT_FAILPOINT', 'no.such.point'],
  ['WEIR_AGENT_SPOOL_MAX', '1'],
  ['WEIR_TRUSTED_SIGNERS', 'nobody'],
] as const) {
  it(`refuses ${name}=${value} by name, with a fix`, () => {
    assert.throws(
      () => loadAgentConfig({ ...ENV, [name]: value }),
      (error: WeirError) => error.facts.field === name && typeof error.facts.fix === 'string',
    );
  });
}
