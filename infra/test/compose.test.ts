// SPDX-License-Identifier: Apache-2.0
/** infra/compose.yaml keeps to our rules, whoever edits it: least privilege, no secrets, nothing unpinned. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';

const FILE = new URL('../compose.yaml', import.meta.url);
const DOCKERFILE = new URL('../images/Dockerfile', import.meta.url);

interface Service {
  readonly image?: string;
  readonly privileged?: boolean;
  readonly cap_add?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly read_only?: boolean;
  readonly user?: string;
  readonly restart?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly network_mode?: string;
  readonly pid?: string;
  readonly ipc?: string;
  readonly devices?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const text = readFileSync(FILE, 'utf8');
const { services, volumes } = parse(text, { merge: true, maxAliasCount: -1 }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const all = Object.entries(services);

/** Everything else has none. Each is named in the file with its reason behind it. */
const CAPABILITIES: Readonly<Record<string, readonly string[]>> = {
  keys: ['CHOWN'],
  ...Object.fromEntries(
    ['agent-h1', 'agent-h2', 'agent-h3'].map((name) => [name, ['NET_ADMIN', 'NET_RAW', 'SYS_ADMIN', 'SYS_PTRACE']]),
  ),
};

test('no container of compose.yaml is privileged; capabilities are the named ones, each with its reason', () => {
  assert.ok(all.length > 15);
  for (const [name, service] of all) {
    assert.notEqual(service.privileged, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], `${name}: cap_drop`);
    assert.deepEqual([...(service.cap_add ?? [])].sort(), CAPABILITIES[name] ?? [], `${name}: cap_add`);
    assert.equal(service.devices, undefined, `${name}: devices`);
    for (const space of [service.network_mode, service.pid, service.ipc]) {
      assert.notEqual(space, 'host', `${name} is in a namespace of the machine`);
    }
  }
  const capabilities = [...new Set(Object.values(CAPABILITIES).flat())];
  for (const capability of capabilities) {
    assert.match(text, new RegExp(`^ +- ${capability} # \\w+`, 'm'), `${capability} has no reason behind it`);
  }
});

test('containers of compose.yaml cannot gain rights nor change their image, and only agents and `keys` are root', () => {
  for (const [name, service] of all) {
    assert.ok(service.security_opt?.includes('no-new-privileges'), `${name}: no-new-privileges`);
    assert.equal(service.read_only, true, `${name}: read_only`);
    assert.equal(service.user === '0:0', name in CAPABILITIES, `${name}: user ${service.user}`);
    for (const option of service.security_opt ?? []) assert.doesNotMatch(option, /seccomp.*unconfined/, name);
    for (const volume of service.volumes ?? []) {
      assert.ok((volume.split(':')[0] ?? '') in volumes, `${name}: ${volume} is a folder of the machine`);
    }
  }
});

test('each container of compose.yaml that stays has a healthcheck, and is waited for by its state', () => {
  for (const [name, service] of all) {
    if (service.restart !== 'no') assert.ok((service.healthcheck?.test.length ?? 0) > 1, `${name}: healthcheck`);
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const wanted = services[other]?.restart === 'no' ? 'service_completed_successfully' : 'service_healthy';
      assert.equal(condition, wanted, `${name} waits for ${other}`);
    }
  }
});

test('compose.yaml holds no secret, trusts nobody, and publishes on loopback only', () => {
  assert.doesNotMatch(text, /\bS[AUO][A-Z2-7]{56}\b/, 'an nkey seed');
  assert.doesNotMatch(text, /:\/\/[^/\s:"]+:[^/\s@"]+@/, 'a URL with a password');
  assert.doesNotMatch(text, /\btrust\b|no_auth_user|POSTGRES_PASSWORD\b|HOST_AUTH_METHOD/);
  for (const [name, service] of all) {
    for (const variable of Object.keys(service.environment ?? {})) {
      assert.doesNotMatch(variable, /SEED|PASSWORD|TOKEN|SECRET|DATABASE_URL/, `${name}: ${variable}`);
    }
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, `${name}: ${port}`);
    const keys = (service.volumes ?? []).filter((volume) => volume.startsWith('keys-'));
    if (name !== 'keys') assert.ok(keys.length <= 1 && keys.every((key) => key.endsWith(':ro')), `${name}: ${keys}`);
  }
});

test('every image of compose.yaml and of the Dockerfile is pinned to a whole version', () => {
  const bases = [...readFileSync(DOCKERFILE, 'utf8').matchAll(/^FROM (\S+)/gm)].map(([, image]) => image as string);
  const images = [...bases, ...all.map(([, { image }]) => image ?? 'none')];
  for (const image of images) assert.match(image, /^[a-z]+:\d+\.\d+(\.\d+)?(-[a-z]+)*$/, image);
});
