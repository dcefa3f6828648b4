// SPDX-License-Identifier: Apache-2.0
/**
 * The doors to one running fleet: REST with its documents, live flows by SSE and by gRPC, health, reflection,
 * metrics, the accounting of events, and the `weir` command with its exit codes.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { callApi } from '@weir/infra/api';
import { createFleet, type Fleet, PATIENT_TIMEOUT_MS, until, type Workload } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { FlowService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { HostService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { badInput } from '../input/bad-input.ts';
import { testFleet } from '../lib/fleet-options.ts';
import { type Collector, startCollector } from '../lib/otlp.ts';
import { accountForAll } from './accounting.ts';
import { followChange } from './trace.ts';

const CLI = new URL('../../services/cli/src/main.ts', import.meta.url).pathname;

const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: server, namespace: default }
spec:
  podSelector: { matchLabels: { app: server } }
  ingress:
    - from: [ { podSelector: { matchLabels: { app: client } } } ]
      ports: [ { port: 80 } ]
`;

const GATEWAY = `apiVersion: cilium.io/v2
kind: CiliumEgressGatewayPolicy
metadata: { name: out }
spec:
  selectors: [ { podSelector: { matchLabels: { app: nobody } } } ]
  destinationCIDRs: [ 0.0.0.0/0 ]
  egressGateway: { nodeSelector: {}, egressIP: 192.0.2.7 }
`;

const SERVICE = `apiVersion: cilium.io/v2
kind: CiliumLoadBalancerIPPool
metadata: { name: edge }
spec: { blocks: [ { cidr: 198.51.100.0/28 } ], allowFirstLastIPs: "No" }
---
apiVersion: v1
kind: Service
metadata: { name: server }
spec:
  type: LoadBalancer
  selector: { app: server }
  ports: [ { port: 80 } ]
`;

describe('doors', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let collector: Collector;
  let client: Workload;
  let server: Workload;
  const dir = mkdtempSync(join(tmpdir(), 'weir-doors-'));
  const file = join(dir, 'server.yaml');

  before(async () => {
    collector = await startCollector();
    fleet = await createFleet(testFleet('do', ['h1', 'h2'], { otlpPort: collector.port }));
    [client, server] = (await Promise.all([
      fleet.addWorkload({ name: 'client', host: 'h1', labels: { app: 'client' } }),
      fleet.addWorkload({ name: 'server', host: 'h2', labels: { app: 'server' }, tcp: [80, 81] }),
    ])) as [Workload, Workload];
    writeFileSync(file, POLICY);
  });
  after(async () => {
    rmSync(dir, { recursive: true, force: true });
    await fleet?.destroy();
    await collector?.stop();
  });

  const weir = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...words], {
      encoding: 'utf8',
      env: { ...process.env, ...fleet.control.cliEnv },
    });
    return { status, stdout, stderr };
  };
  const talk = (port = 80, timeoutMs = 700) => client.probe({ protocol: 'tcp', host: server.ip4, port, timeoutMs });

  describe('bad input', () => badInput(() => fleet));

  test('diff, apply, get and delete follow one another with their exit codes', async () => {
    const difference = weir('diff', '-f', file);
    assert.equal(difference.status, 1, difference.stderr);
    assert.match(difference.stdout, /^\+.*podSelector/m);
    const applied = weir('apply', '-f', file, '--wait');
    assert.equal(applied.status, 0, applied.stderr);
    assert.match(applied.stdout, /NetworkPolicy\/default\/server created/);
    assert.match(applied.stdout, /2 hosts: h1, h2/);
    assert.match(weir('apply', '-f', file).stdout, /unchanged/);
    assert.equal(weir('diff', '-f', file).status, 0);
    assert.equal((await talk(80, PATIENT_TIMEOUT_MS)).ok, true);
    assert.equal((await talk(81)).ok, false);

    const policies = weir('get', 'policies', '-o', 'json');
    assert.deepEqual(
      JSON.parse(policies.stdout).items.map((p: { key: string }) => p.key),
      ['NetworkPolicy/default/server'],
    );
    assert.match(weir('get', 'workloads').stdout, /default +server +h2 +ready/);
    assert.match(weir('get', 'hosts', '-o', 'wide').stdout, /h1 +alive/);
    assert.match(weir('get', 'identities').stdout, /k8s:app=server/);
    assert.match(weir('get', 'workload', 'default/server', '-o', 'yaml').stdout, /^host: h2$/m);
    assert.equal(weir('get', 'workload', 'default/nobody').status, 1);
    const explained = weir('explain', '--from', 'default/client', '--to', 'default/server', '--port', '80');
    assert.ok(explained.stdout.includes(`spec.ingress[0], ${file}:7: allows it`), explained.stdout);
    const probe = (port: number, ...words: readonly string[]) =>
      weir('explain', '--from', 'default/client', '--to', 'default/server', '--port', `${port}`, '--probe', ...words);
    const passed = probe(80);
    assert.deepEqual([passed.status, passed.stderr], [0, '']);
    assert.match(passed.stdout, /^probe: TCP [\d.]+:\d+ -> [\d.]+:80: it came about after .* ms\n {2}agrees/m);
    const refused = probe(81);
    assert.deepEqual([refused.status, refused.stderr], [1, '']);
    assert.match(refused.stdout, /^probe: .*:81: no answer after/m);
    assert.match(refused.stdout, /^ {2}h2 dropped it, ingress: .*NetworkPolicy\/default\/server\n {2}agrees/m);
    const echo = JSON.parse(probe(8, '--protocol', 'icmp', '-o', 'json').stdout);
    assert.deepEqual([echo.verdict, echo.probe.outcome, echo.probe.drop.host], ['deny', 'deny', 'h2'], refused.stdout);
    assert.match(probe(80, '-f', file).stderr, /--probe tries what is in force: leave out -f/);
    await until('the hits of both rules', 60_000, async () => {
      const { items } = JSON.parse(weir('hits', '--policy', 'NetworkPolicy/default/server', '-o', 'json').stdout);
      const hits = new Map(items.map((item: { rule: { path: string }; hits: number }) => [item.rule.path, item.hits]));
      return Number(hits.get('spec.ingress[0]')) > 0 && Number(hits.get('spec.defaultDeny.ingress')) > 0;
    });
    const deleted = weir('delete', 'NetworkPolicy/default/server');
    assert.equal(deleted.status, 0, deleted.stderr);
    assert.equal(weir('delete', 'NetworkPolicy/default/server').status, 1);
    await until('the port to be open again', 60_000, async () => (await talk(81)).ok);
    assert.equal(weir('get', 'nothing').status, 2);
    assert.equal(
      spawnSync(process.execPath, [CLI, 'get', 'hosts'], {
        env: { ...process.env, WEIR_INVENTORY_URL: 'http://127.0.0.1:1' },
      }).status,
      3,
    );
  });

  test('a change is one trace from the command to the maps of both hosts', async (t) => {
    const tree = await followChange(fleet, weir, file, collector);
    for (const line of tree.trimEnd().split('\n')) t.diagnostic(line);
    assert.equal(weir('delete', '-f', file).status, 0);
  });

  test('pools, reservations, prefilters, gateways, bandwidth, network and health by the command', async () => {
    const good = (...words: string[]): string => {
      const { status, stdout, stderr } = weir(...words);
      assert.equal(status, 0, `weir ${words.join(' ')}: ${stdout}${stderr}`);
      return stdout;
    };
    assert.equal(good('pools', 'set', 'lab', 'cidrs=10.9.0.0/16', 'block_bits4=26'), 'pool lab created\n');
    assert.equal(good('pools', 'set', 'lab', 'block_bits4=26'), 'pool lab unchanged\n');
    assert.match(good('pools'), /^lab +10\.9\.0\.0\/16 +0 +0/m);
    assert.match(good('reservations', 'set', '10.9.0.9', 'workload=default.later'), /created/);
    assert.equal(good('reservations', 'delete', '10.9.0.9'), 'reservation 10.9.0.9 deleted\n');
    assert.equal(good('pools', 'delete', 'lab'), 'pool lab deleted\n');
    assert.match(good('prefilter', 'set', 'bad', 'cidrs=203.0.113.0/24', '--wait'), /created\n.*2 hosts: h1, h2/);
    assert.match(good('prefilter', 'set', 'bad', 'hosts=zone=edge'), /configured/);
    assert.match(good('prefilter'), /^bad +zone=edge +203\.0\.113\.0\/24/m);
    const wide = weir('prefilter', 'set', 'bad', 'cidrs=0.0.0.0/0');
    assert.equal(wide.status, 1);
    assert.match(wide.stderr, /cidrs\[0\][\s\S]*fix: /);
    assert.equal(good('prefilter', 'delete', 'bad'), 'prefilter bad deleted\n');

    const gateway = join(dir, 'gateway.yaml');
    writeFileSync(gateway, GATEWAY);
    assert.match(weir('diff', '-f', gateway).stdout, /would be created/);
    assert.match(good('apply', '-f', gateway, '--wait'), /CiliumEgressGatewayPolicy\/out created\n.*2 hosts: h1, h2/);
    assert.match(good('apply', '-f', gateway), /unchanged/);
    assert.match(good('egress'), /^out +app=nobody +0\.0\.0\.0\/0 +192\.0\.2\.7 of all/m);
    writeFileSync(gateway, GATEWAY.replace('192.0.2.7', '224.0.0.7'));
    const refused = weir('apply', '-f', gateway);
    assert.equal(refused.status, 1);
    assert.ok(refused.stderr.startsWith(`${gateway}:1: CiliumEgressGatewayPolicy/out\n`), refused.stderr);
    assert.match(refused.stderr, /gateways\[0\]\.egress_ip[\s\S]*224\.0\.0\.7[\s\S]*fix: /);
    assert.match(good('delete', '-f', gateway), /out deleted/);

    const service = join(dir, 'service.yaml');
    writeFileSync(service, SERVICE);
    assert.match(
      good('apply', '-f', service, '--wait'),
      /Pool\/edge created\nService\/default\/server created\n.*2 hosts/,
    );
    assert.match(good('apply', '-f', service), /edge unchanged\nService\/default\/server unchanged/);
    // Of a workload that its host has connected.
    await until('a backend that serves', 60_000, async () =>
      /198\.51\.100\.1:80\/TCP +1\/1 +ready/.test(good('service')),
    );
    assert.match(good('service', 'maintain', 'default/server', 'default/server', '--wait'), /maintenance\n.*2 hosts/);
    assert.match(good('service', 'list'), / 0\/1 +NoneActive/);
    writeFileSync(service, SERVICE.replace('port: 80', 'port: 80, nodePort: 99'));
    const wrong = weir('apply', '-f', service);
    assert.deepEqual([wrong.status, wrong.stderr.split(': ')[0]], [1, `${service}:12:12`], wrong.stderr);
    assert.match(good('delete', '-f', service), /default\/server deleted\n.*edge deleted/);

    assert.match(good('workloads', 'set', 'default/server', 'egress_bandwidth=100M', '--wait'), /2 hosts/);
    assert.match(good('get', 'workloads', '-o', 'wide'), /server .* 100M +- /);
    good('workloads', 'set', 'default/server', 'egress_bandwidth=none');
    assert.match(good('network'), /^routing +\w+$/m);
    assert.equal(weir('network', 'set', 'mtu=1').status, 1);
    assert.match(
      good('network', 'set', 'health.base_interval_s=61', '--wait'),
      /network configured\n.*2 hosts: h1, h2/,
    );
    await until('both hosts to have told of the other', 30_000, async () => {
      const { status, stdout } = weir('health');
      return status === 0 && /^h1 +- +[\d.]+ ms$/m.test(stdout) && /^h2 +[\d.]+ ms +-$/m.test(stdout);
    });
    assert.equal(JSON.parse(good('health', '--from', 'h1', '-o', 'json')).items[0].to, 'h2');
  });

  test('simulate judges what was recorded: the connections of before by a policy that is not in force', async () => {
    await until('the connections to be stored', 30_000, async () => {
      const { items } = await callApi<{ items: unknown[] }>(
        `${fleet.control.urls.analytics}/v1/flows?to_workload=default/server&to_port=80&verdict=FORWARDED&direction=INGRESS`,
      );
      return items.length > 0;
    });
    const other = join(dir, 'other.yaml');
    writeFileSync(other, POLICY.replace('app: client', 'app: somebody'));
    const { status, stdout, stderr } = weir('simulate', '-f', other, '--fail-on', 'newly-denied', '-o', 'json');
    assert.equal(status, 1, stderr);
    const { changes, summary } = JSON.parse(stdout);
    const found = changes.find(
      (one: { class: string; port: number }) => one.class === 'newly-denied' && one.port === 80,
    );
    assert.deepEqual(
      [found.subject.workloads, found.peer.workloads, found.before.reason, found.after.rule.file],
      [['default/server'], ['default/client'], 'default-allow', other],
    );
    assert.ok(found.flows > 0 && found.bytes > 0 && summary.newly_denied.flows >= found.flows);
    const wide = weir('simulate', '-f', file, '--fail-on', 'not-judged');
    assert.equal(wide.status, 0, wide.stdout + wide.stderr);
  });

  test('status says what is well and accounts for every flow', async (t) => {
    t.diagnostic(await accountForAll(fleet, client, server));
    const status = weir('status');
    assert.equal(status.status, 0, status.stdout + status.stderr);
    assert.match(
      status.stdout,
      /host h1 .*alive.*\n(?: +egress limits .*\n)? +flows \d+ produced = \d+ stored \+ \d+ lost/,
    );
    assert.match(
      status.stdout,
      /host h2 .*alive.*\n(?: +egress limits .*\n)? +flows \d+ produced = \d+ stored \+ \d+ lost/,
    );
  });

  test('observe --follow shows a connection while it happens', async () => {
    const follower = spawn(
      process.execPath,
      [CLI, 'observe', '--follow', '--to-workload', 'default/server', '--to-port', '81', '-o', 'json'],
      { env: { ...process.env, ...fleet.control.cliEnv }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      const line = once(createInterface({ input: follower.stdout }), 'line') as Promise<[string]>;
      const talking = setInterval(() => void talk(81), 200);
      const [text] = await line.finally(() => clearInterval(talking));
      const flow = JSON.parse(text) as { destination: { workload: string; port: number }; verdict: string };
      assert.equal(flow.destination.port, 81);
      assert.equal(flow.verdict, 'FORWARDED');
    } finally {
      follower.kill('SIGINT');
      const [code] = await once(follower, 'exit');
      assert.equal(code, 0);
    }
  });

  test('gRPC lists and streams the same flows', async () => {
    const flows = createRpcClient(FlowService, fleet.control.grpc.analytics);
    const stop = new AbortController();
    const talking = setInterval(() => void talk(), 200);
    try {
      for await (const { event } of flows.streamFlows(
        { filter: { to: { workloads: ['default/server'], ports: [80] }, isReply: false } },
        { signal: stop.signal, timeoutMs: 15_000 },
      )) {
        if (event.case !== 'flow') continue;
        assert.equal(event.value.destination?.workload, 'server');
        break;
      }
      const page = await flows.listFlows({ filter: { to: { ports: [80] } }, pageSize: 3 });
      assert.equal(page.flows.length, 3);
      assert.notEqual(page.nextPageToken, '');
    } finally {
      clearInterval(talking);
      stop.abort();
      flows.close();
    }
    const hosts = createRpcClient(HostService, fleet.control.grpc.inventory);
    try {
      const { hosts: list } = await hosts.listHosts({});
      assert.deepEqual(
        list.map((h) => h.id),
        ['h1', 'h2'],
      );
    } finally {
      hosts.close();
    }
  });

  test('the service map has the edge, with its counts', async () => {
    await until('the edge', 60_000, async () => {
      const map = await callApi<{
        edges: { source: number; destination: number; port: number; connections: number; packets: number }[];
      }>(`${fleet.control.urls.analytics}/v1/service-map?since=10m`);
      return map.edges.some(
        (e) =>
          e.source === client.identity &&
          e.destination === server.identity &&
          e.port === 80 &&
          e.connections > 0 &&
          e.packets > 0,
      );
    });
  });

  test('each service answers health, OpenAPI 3.1, Swagger UI and Prometheus metrics', async () => {
    for (const url of Object.values(fleet.control.urls)) {
      assert.equal((await fetch(`${url}/readyz`)).status, 200);
      const document = (await (await fetch(`${url}/docs/json`)).json()) as { openapi: string; paths: object };
      assert.match(document.openapi, /^3\.1\./);
      assert.ok(Object.keys(document.paths).length >= 4);
      assert.match(await (await fetch(`${url}/docs/`)).text(), /swagger/i);
      assert.match(await (await fetch(`${url}/metrics`)).text(), /^weir_/m);
    }
  });
});
