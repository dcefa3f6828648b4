// SPDX-License-Identifier: Apache-2.0
/** Health checks of backends against real servers on loopback, and their verdicts on a real bus. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createWeb, type RequestListener } from 'node:http';
import { createServer as createTlsWeb } from 'node:https';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { subjects } from '@weir/bus';
import { ping } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import type { CheckVerdict } from '@weir/proto/weir/bus/v1/agent_pb.js';
import {
  BackendState,
  type HealthCheck,
  HealthCheckSchema,
  HealthCheckKind as KIND,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import { createAgent } from '../src/app.ts';
import { Checker, type Verdict } from '../src/checks/checker.ts';
import { Echo } from '../src/checks/echo.ts';
import { Judge } from '../src/checks/judge.ts';
import { failed, noAnswer, OK, type Outcome } from '../src/checks/outcome.ts';
import { proberWith } from '../src/checks/probe.ts';
import { CHECKS_FEATURE } from '../src/checks/start.ts';
import { loadAgentConfig } from '../src/config.ts';
import { simulatedPlatform } from '../src/sim/platform.ts';
import { CERTIFICATE, KEY } from './support/certificate.ts';
import { ControlPlane, until } from './support/control-plane.ts';
import { hostEntry, removal, serviceEntry } from './support/entries.ts';

const LOCAL = '127.0.0.1';
/** Also of a busy machine, an answer from itself comes by then. */
const PATIENT_MS = 5_000;
/** When none is to come. */
const SHORT_MS = 100;

const ending: (() => unknown)[] = [];
after(async () => {
  for (const end of ending.reverse()) await end();
});

const checkOf = (init: MessageInitShape<typeof HealthCheckSchema>): HealthCheck => create(HealthCheckSchema, init);
const probe = proberWith(new Echo(ping));
const ask = (port: number, init: MessageInitShape<typeof HealthCheckSchema>, timeoutMs = PATIENT_MS) =>
  probe({ address: LOCAL, port, timeoutMs }, checkOf(init));
const reasonOf = (outcome: Outcome): string => (outcome.ok ? '' : outcome.reason);

const listen = async (server: ReturnType<typeof createTcp>): Promise<number> => {
  server.listen(0, LOCAL);
  await once(server, 'listening');
  ending.push(() => server.close());
  return (server.address() as AddressInfo).port;
};
/** A port at which nobody listens. */
const closedPort = async (): Promise<number> => {
  const server = createTcp();
  server.listen(0, LOCAL);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};
const bytes = (text: string) => Buffer.from(text);

describe('a probe', () => {
  it('tcp: a connection is made, refused, or not answered', async () => {
    assert.deepEqual(await ask(await listen(createTcp((socket) => socket.resume())), { kind: KIND.TCP }), OK);
    assert.deepEqual(await ask(await closedPort(), { kind: KIND.TCP }), failed('ECONNREFUSED', true));
    // Set aside for documents: nobody has it.
    const nobody = await probe({ address: '192.0.2.99', port: 80, timeoutMs: SHORT_MS }, checkOf({ kind: KIND.TCP }));
    assert.equal(nobody.ok, false);
    assert.equal(nobody.ok || nobody.isAnswer, false);
  });

  it('http and https: status, body, Host, certificate', async () => {
    const page: RequestListener = ({ url, headers }, response) => {
      if (url === '/silent') return;
      response.writeHead(url === '/broken' ? 500 : url === '/moved' ? 302 : 200).end(`all is well at ${headers.host}`);
    };
    const web = createWeb(page);
    ending.push(() => web.closeAllConnections());
    const port = await listen(web);
    const get = (init: MessageInitShape<typeof HealthCheckSchema>, ms?: number) =>
      ask(port, { kind: KIND.HTTP, ...init }, ms);
    assert.deepEqual(await get({}), OK);
    assert.deepEqual(await get({ path: '/moved' }), OK);
    assert.deepEqual(await get({ path: '/moved', statusLow: 200, statusHigh: 299 }), failed('HTTP 302', true));
    assert.deepEqual(await get({ path: '/broken' }), failed('HTTP 500', true));
    assert.deepEqual(await get({ expect: bytes('well at shop.test'), host: 'shop.test' }), OK);
    assert.match(reasonOf(await get({ expect: bytes('ill') })), /body does not contain/);
    assert.deepEqual(await get({ path: '/silent' }, SHORT_MS), noAnswer(SHORT_MS));
    assert.deepEqual(await ask(await closedPort(), { kind: KIND.HTTP }), failed('ECONNREFUSED', true));
    const tls = createTlsWeb({ cert: CERTIFICATE, key: KEY }, page);
    ending.push(() => tls.closeAllConnections());
    const tlsPort = await listen(tls);
    assert.deepEqual(await ask(tlsPort, { kind: KIND.HTTPS, insecure: true, host: 'backend.test' }), OK);
    const strict = await ask(tlsPort, { kind: KIND.HTTPS, host: 'backend.test' });
    assert.match(reasonOf(strict), /SELF_SIGNED/);
    assert.equal((await ask(port, { kind: KIND.HTTPS, insecure: true })).ok, false, 'no TLS there');
  });

  it('udp: an answer, the expected one, or a port that is closed', async () => {
    const socket = createSocket('udp4');
    ending.push(() => socket.close());
    socket.on('message', (text, { port, address }) => {
      if (text.toString() !== 'be silent') socket.send(`pong ${text}`, port, address);
    });
    socket.bind(0, LOCAL);
    await once(socket, 'listening');
    const { port } = socket.address();
    const udp = (send: string, expect: string, ms?: number) =>
      ask(port, { kind: KIND.UDP, send: bytes(send), expect: bytes(expect) }, ms);
    assert.deepEqual(await udp('ping', 'pong ping'), OK);
    assert.deepEqual(await udp('ping', ''), OK);
    assert.deepEqual(await udp('be silent', '', SHORT_MS), OK, 'nobody says that it is closed');
    assert.deepEqual(await udp('be silent', 'pong', SHORT_MS), noAnswer(SHORT_MS));
    assert.match(reasonOf(await udp('ping', 'pang')), /does not begin/);
    const free = createSocket('udp4');
    free.bind(0, LOCAL);
    await once(free, 'listening');
    const closed = free.address().port;
    free.close();
    await once(free, 'close');
    assert.deepEqual(await ask(closed, { kind: KIND.UDP, send: bytes('x') }), failed('ECONNREFUSED', true));
  });

  it('icmp: an echo', { skip: needKernel() }, async () => {
    const all = await Promise.all(Array.from({ length: 600 }, () => ask(0, { kind: KIND.ICMP })));
    assert.ok(
      all.every(({ ok }) => ok),
      'many who ask at once are asked together',
    );
    const nobody = await probe({ address: '192.0.2.99', port: 0, timeoutMs: SHORT_MS }, checkOf({ kind: KIND.ICMP }));
    assert.equal(nobody.ok, false);
  });

  it('grpc: what the server says of itself and of a service', async () => {
    const server = new Server();
    ending.push(() => server.forceShutdown());
    // HealthCheckRequest { string service = 1 } -> HealthCheckResponse { ServingStatus status = 1 }
    const serving: Record<string, number> = { '': 1, shop: 1, down: 2 };
    const raw = { requestSerialize: (b: Buffer) => b, responseSerialize: (b: Buffer) => b };
    const check = {
      ...{ path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, ...raw },
      ...{ requestDeserialize: (b: Buffer) => b, responseDeserialize: (b: Buffer) => b },
    };
    server.addService(
      { check },
      {
        check: (
          { request }: { request: Buffer },
          answer: (error: { code: number; details: string } | null, bytes?: Buffer) => void,
        ) => {
          const found = serving[request.subarray(2).toString()];
          if (found === undefined) return answer({ code: status.NOT_FOUND, details: 'unknown service' });
          answer(null, Buffer.of(8, found));
        },
      },
    );
    const listenBy = (credentials: ServerCredentials): Promise<number> =>
      new Promise((resolve, reject) =>
        server.bindAsync(`${LOCAL}:0`, credentials, (error, found) => (error ? reject(error) : resolve(found))),
      );
    const port = await listenBy(ServerCredentials.createInsecure());
    const pair = { cert_chain: Buffer.from(CERTIFICATE), private_key: Buffer.from(KEY) };
    const byTls = await listenBy(ServerCredentials.createSsl(null, [pair]));
    const grpc = (grpcService: string) => ask(port, { kind: KIND.GRPC, grpcService });
    assert.deepEqual(await grpc(''), OK);
    assert.deepEqual(await grpc('shop'), OK);
    assert.deepEqual(await grpc('down'), failed('NOT_SERVING', true));
    assert.deepEqual(await grpc('other'), failed('gRPC NOT_FOUND: unknown service', true));
    assert.deepEqual(await ask(await closedPort(), { kind: KIND.GRPC }), failed('ECONNREFUSED', true));
    const tls = { kind: KIND.GRPC, tls: true } as const;
    assert.deepEqual(await ask(byTls, { ...tls, insecure: true }), OK);
    assert.deepEqual(await ask(byTls, { ...tls, insecure: true, grpcService: 'down' }), failed('NOT_SERVING', true));
    const unknown = await ask(byTls, tls);
    assert.ok(!unknown.ok && unknown.isAnswer, 'nobody vouches for the certificate');
    assert.match(reasonOf(unknown), /certificate/);
    assert.equal((await ask(byTls, { kind: KIND.GRPC }, 1_000)).ok, false, 'without TLS it is not heard');
    assert.deepEqual(await ask(await closedPort(), tls), failed('ECONNREFUSED', true));
  });
});

describe('what is decided', () => {
  const thresholds = { healthyAfter: 2, unhealthyAfter: 3 };
  const decisions = (judge: Judge, outcomes: string): string =>
    [...outcomes].map((one) => (judge.note(one === '+', thresholds) ? (judge.healthy ? 'H' : 'U') : '.')).join('');

  it('takes so many in a row; what confirms the fleet in what it believes counts at once', () => {
    assert.equal(decisions(new Judge(true), '+++-+--+---+-++-'), 'H.........U...H.');
    assert.equal(decisions(new Judge(true), '---+'), '..U.');
    assert.equal(decisions(new Judge(false), '-+-++'), 'U...H');
    assert.equal(decisions(new Judge(false), '++'), '.H');
  });

  const documents = (address: string, more: object = {}, host = 'h1') => [
    hostEntry('h2', '192.0.2.2'),
    serviceEntry({
      id: 'default.web',
      number: 7,
      healthCheck: { kind: KIND.TCP, periodMs: 100, timeoutMs: 50, unhealthyAfter: 2, healthyAfter: 2 },
      backends: [{ number: 3, address, port: 80, protocol: 6, prober: host, ...more }],
    }),
  ];

  it('a stand-in believes silence only of those that answered it, or whose host is silent too', async () => {
    let outcome: Outcome = noAnswer(1);
    let hostAnswers = true;
    let rounds = 0;
    const verdicts: Verdict[] = [];
    const checker = new Checker({
      host: 'h1',
      probe: async () => outcome,
      answers: async (addresses) => {
        assert.deepEqual(addresses, ['192.0.2.2']);
        rounds += 1;
        return hostAnswers;
      },
      onVerdict: (verdict) => void verdicts.push(verdict),
    });
    ending.push(() => checker.stop());
    checker.reset(documents('10.2.0.2', { hostId: 'h2' }));
    await until(() => rounds >= 5, 'five rounds');
    assert.equal(verdicts.length, 0, 'policy may be in the way');
    hostAnswers = false;
    await until(() => verdicts.length === 1, 'its host is silent');
    assert.equal(verdicts.at(0)?.reason, 'no answer within 1 ms');
    hostAnswers = true;
    outcome = OK;
    await until(() => verdicts.length === 2, 'it answers');
    outcome = noAnswer(1);
    await until(() => verdicts.length === 3, 'it answered before');
    assert.deepEqual(
      verdicts.map(({ healthy, sequence }) => [healthy, sequence]),
      [
        [false, 1],
        [true, 2],
        [false, 3],
      ],
    );
  });

  it('no more at a time than it may, nobody twice at once, and nobody who ends or is asked by another', async () => {
    const atOnce = new Map<string, number>();
    let most = 0;
    const seen = new Set<string>();
    const checker = new Checker({
      host: 'h1',
      atOnceMax: 4,
      probe: async ({ address }) => {
        seen.add(address);
        atOnce.set(address, (atOnce.get(address) ?? 0) + 1);
        const counts = [...atOnce.values()];
        most = Math.max(
          most,
          counts.reduce((sum, one) => sum + one, 0),
        );
        assert.ok(counts.every((one) => one <= 1));
        await new Promise((done) => setTimeout(done, 5));
        atOnce.set(address, (atOnce.get(address) ?? 1) - 1);
        return OK;
      },
      answers: async () => false,
      onVerdict: () => {},
    });
    ending.push(() => checker.stop());
    const many = Array.from({ length: 60 }, (_, i) => ({
      ...{ number: i + 1, address: `10.1.0.${i + 1}`, port: 80, protocol: 6 },
      prober: i < 50 ? 'h1' : 'h2',
      ...(i < 5 ? { state: BackendState.TERMINATING } : {}),
    }));
    const service = serviceEntry({
      ...{ id: 'default.web', number: 7, backends: many },
      healthCheck: { kind: KIND.TCP, periodMs: 100, timeoutMs: 50, unhealthyAfter: 2, healthyAfter: 2 },
    });
    checker.change(service);
    await until(() => seen.size === 45, 'all are asked');
    assert.ok(most > 1 && most <= 4, `${most} at once`);
    checker.change(removal('service', 'default.web'));
    assert.deepEqual([...checker.facts()], []);
  });

  it('verdicts reach the bus when they change, and all of them when it asks again', async () => {
    const plane = await ControlPlane.start();
    ending.push(() => plane.stop());
    const said: CheckVerdict[] = [];
    plane.bus.nc.subscribe(subjects.check.build({ host: 'h1' }), {
      callback: (_, { data }) => void said.push(...subjects.check.decode(data).verdicts),
    });
    const backend = createTcp((socket) => socket.resume());
    const port = await listen(backend);
    const dir = mkdtempSync(join(tmpdir(), 'weir-checks-'));
    ending.push(() => rmSync(dir, { recursive: true, force: true }));
    const agent = await createAgent({
      config: loadAgentConfig({
        ...{ WEIR_AGENT_HOST: 'h1', WEIR_AGENT_NATS_URL: plane.nats.url, WEIR_AGENT_STATE_DIR: dir },
        WEIR_TRUSTED_SIGNERS: plane.trustedSigners.join(),
      }),
      platform: { ...simulatedPlatform(), ping },
    });
    ending.push(() => agent.close());
    await plane.host('h1', 1);
    await plane.put('service', 'default.web', {
      case: 'service',
      value: {
        ...{ id: 'default.web', number: 7, namespace: 'default', name: 'web' },
        healthCheck: { kind: KIND.TCP, periodMs: 100, timeoutMs: 100, unhealthyAfter: 2, healthyAfter: 1 },
        backends: [{ number: 3, address: LOCAL, port, protocol: 6, prober: 'h1', weight: 100 }],
      },
    });
    plane.beat();
    const first = await until(() => said[0], 'the first verdict');
    assert.deepEqual([first.service, first.backend, first.healthy, first.sequence], [7, 3, true, 1n]);
    await until(() => plane.heartbeats.get('h1')?.features.includes(CHECKS_FEATURE), 'it says that it can');
    backend.close();
    const second = await until(() => said.find(({ sequence }) => sequence === 2n), 'the second verdict');
    assert.deepEqual([second.healthy, second.reason], [false, 'ECONNREFUSED']);
    await until(() => said.filter(({ sequence }) => sequence === 2n).length === 2, 'it is said again');
  });
});
