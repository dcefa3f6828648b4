// SPDX-License-Identifier: Apache-2.0
/**
 * nats-server's configuration: every account has users with nkeys and lists of what they may do, the system account
 * too; nobody comes in without one. Host, port and store are added by whoever starts the server.
 */
import { createKeys } from './keys.ts';
import type { Permissions } from './permissions.ts';

export interface NatsUser {
  /** Public nkey (U...). */
  readonly publicKey: string;
  readonly permissions: Permissions;
  /** Written as a comment. */
  readonly name: string;
}

export interface NatsServerConfig {
  readonly users: readonly NatsUser[];
  /** Public nkey of the operator's user in the system account. Without one a key is made and thrown away. */
  readonly systemUser?: string;
  readonly serverName?: string;
  /** Most that all streams may take on disk; what storeConfig allows must not be less. */
  readonly maxStoreBytes?: number;
  /** Certificate files of the server; clients must show one when `caFile` is given. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile?: string };
}

/** A policy document of 1 MiB as JSON in a signed envelope, and a batch of events, with room. */
const MAX_PAYLOAD_BYTES = 8 * 1024 ** 2;
/** 1 GiB of events that nobody has read yet; configuration, acknowledgements and the rest in what is left. */
export const MAX_STORE_BYTES = 4 * 1024 ** 3;
/** State of consumers; no stream of ours lives in memory. */
const MAX_MEMORY_BYTES = 256 * 1024 ** 2;
const MAX_STREAMS = 16;
const PING_INTERVAL_S = 10;
const MAX_PINGS_OUT = 2;
const list = (items: readonly string[]): string => `[${items.map((item) => JSON.stringify(item)).join(', ')}]`;

const userText = ({ name, publicKey, permissions }: NatsUser): string => `      # ${name.replace(/[^\w.:-]/g, '_')}
      { nkey: ${publicKey}, permissions: {
        publish: { allow: ${list(permissions.publish)} }
        subscribe: { allow: ${list(permissions.subscribe)} }
      } }`;

const tlsText = (tls: NonNullable<NatsServerConfig['tls']>): string =>
  [
    'tls: {',
    `  cert_file: ${JSON.stringify(tls.certFile)}`,
    `  key_file: ${JSON.stringify(tls.keyFile)}`,
    ...(tls.caFile === undefined ? [] : [`  ca_file: ${JSON.stringify(tls.caFile)}`, '  verify: true']),
    '}',
  ].join('\n');

/** The server's own part of JetStream. It starts however little its disk has: what does not fit is refused later. */
export const storeConfig = (storeDir: string, maxStoreBytes = MAX_STORE_BYTES): string =>
  `jetstream: { store_dir: ${JSON.stringify(storeDir)}, max_file_store: ${maxStoreBytes}, max_memory_store: ${MAX_MEMORY_BYTES} }`;

export const natsServerConfig = (
  options: NatsServerConfig,
): string => `# Generated; agents and services are the users below.
server_name: ${JSON.stringify(options.serverName ?? 'weir')}
max_payload: ${MAX_PAYLOAD_BYTES}
max_pending: ${8 * MAX_PAYLOAD_BYTES}
ping_interval: "${PING_INTERVAL_S}s"
ping_max: ${MAX_PINGS_OUT}
write_deadline: "10s"
max_connections: 20000
accounts: {
  WEIR: {
    jetstream: { max_file: ${options.maxStoreBytes ?? MAX_STORE_BYTES}, max_memory: ${MAX_MEMORY_BYTES}, max_streams: ${MAX_STREAMS} }
    users: [
${options.users.map(userText).join('\n')}
    ]
  }
  SYS: { users: [ { nkey: ${options.systemUser ?? createKeys('user').publicKey} } ] }
}
system_account: SYS
${options.tls === undefined ? '' : tlsText(options.tls)}
`;
