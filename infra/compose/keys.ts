// SPDX-License-Identifier: Apache-2.0
/**
 * First of all under compose: makes every key and password of the fleet, each into the volume of the one who may have
 * it, and gives the volumes to the users that will run on them. Keys that are there are never made anew.
 *
 *   WEIR_HOSTS=h1,h2 node infra/compose/keys.ts DIR     (DIR holds the volumes, see VOLUMES)
 *
 * Invariants: no secret is printed; a volume is readable by its own user and by this program's group, which nobody else
 * has, so that without any capability but CHOWN a second run can see that the first one was whole.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentSecrets, containerBusConfig, createCredentials, SERVICES, serviceSecrets } from '../src/credentials.ts';

/** `node` in our image and, by its number, nobody in particular in that of NATS. */
const NODE_UID = 1000;
/** `postgres` in the official image of Debian. */
const POSTGRES_UID = 999;
/** Agents are root in their container, with the capabilities that compose.yaml names. */
const AGENT_UID = 0;
const DATABASE_HOST = 'postgres:5432';
const DATABASE = 'weir';

const dir = process.argv[2];
const hosts = (process.env.WEIR_HOSTS ?? '').split(',').filter((host) => host !== '');
if (dir === undefined || hosts.length === 0) {
  process.stderr.write('usage: WEIR_HOSTS=h1,h2 node infra/compose/keys.ts DIR\n');
  process.exit(2);
}

const envText = (values: Readonly<Record<string, string>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

const password = (): string => randomBytes(24).toString('base64url');
const databaseUrl = (user: string, secret: string): string =>
  `postgres://${user}:${secret}@${DATABASE_HOST}/${DATABASE}`;

/** Also what an earlier run gave away: only its owner may set a mode, and this program takes it back for that moment. */
const give = (path: string, uid: number, mode: number): void => {
  chownSync(path, 0, 0);
  chmodSync(path, mode);
  chownSync(path, uid, 0);
};

/** Volumes that programs write to. */
const DATA: Readonly<Record<string, number>> = {
  'data-nats': NODE_UID,
  'data-postgres': POSTGRES_UID,
  shop: NODE_UID,
  ...Object.fromEntries(hosts.map((host) => [`netns-${host}`, NODE_UID])),
};

interface Secret {
  readonly volume: string;
  readonly file: string;
  readonly uid: number;
  readonly text: string;
}

const makeSecrets = (): Secret[] => {
  const credentials = createCredentials(hosts);
  const superuser = password();
  const urls = new Map(SERVICES.map((name) => [name, databaseUrl(name, password())]));
  const urlEnv = (name: (typeof SERVICES)[number]) => ({
    [`WEIR_${name.toUpperCase()}_DATABASE_URL`]: urls.get(name) ?? '',
  });
  return [
    { volume: 'keys-nats', file: 'nats.conf', uid: NODE_UID, text: containerBusConfig(credentials) },
    { volume: 'keys-postgres', file: 'password', uid: POSTGRES_UID, text: superuser },
    {
      volume: 'keys-migrate',
      file: 'secrets.env',
      uid: NODE_UID,
      text: envText({
        WEIR_MIGRATE_DATABASE_URL: `postgres://postgres:${superuser}@${DATABASE_HOST}/postgres`,
        ...Object.assign({}, ...SERVICES.map(urlEnv)),
      }),
    },
    ...SERVICES.map((name) => ({
      volume: `keys-${name}`,
      file: 'secrets.env',
      uid: NODE_UID,
      text: envText({ ...serviceSecrets(credentials, name), ...urlEnv(name) }),
    })),
    ...hosts.map((host) => ({
      volume: `keys-${host}`,
      file: 'secrets.env',
      uid: AGENT_UID,
      text: envText(agentSecrets(credentials, host)),
    })),
  ];
};

/** The broker's list of users comes last: with it the set is whole. */
const WHOLE = join(dir, 'keys-nats', 'nats.conf');

if (existsSync(WHOLE)) {
  process.stdout.write('keys: made before, left as they are\n');
} else {
  const [bus, ...others] = makeSecrets();
  for (const { volume, file, uid, text } of [...others, bus as Secret]) {
    const folder = join(dir, volume);
    const path = join(folder, file);
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${path}.part`, text, { mode: 0o440 });
    give(`${path}.part`, uid, 0o440);
    renameSync(`${path}.part`, path);
    give(folder, uid, 0o770);
  }
  process.stdout.write(`keys: made for ${[...SERVICES, ...hosts].join(', ')}, the broker and the database\n`);
}
for (const [volume, uid] of Object.entries(DATA)) {
  mkdirSync(join(dir, volume), { recursive: true });
  if (statSync(join(dir, volume)).uid === uid) continue; // given before, and perhaps in use
  give(join(dir, volume), uid, volume === 'data-postgres' ? 0o700 : 0o755);
}
