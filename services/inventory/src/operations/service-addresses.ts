// SPDX-License-Identifier: Apache-2.0
/**
 * Whose an address is that a service asks for. Traffic for a frontend's address goes to its backends on every host, so whoever
 * sets one on somebody else's address takes what was meant for him: no address of a host, of a workload, of the control plane
 * or of the fleet's own prefixes is a service's. Host ports are the exception that proves it: at a host's address, and not where
 * the fleet itself, or who mends it, comes in.
 */
import { type WeirError, weirError } from '@weir/errors';
import { cidrContainsIp, parseCidr, parseIp } from '@weir/net';
import { sql, type Transaction } from 'kysely';
import type { NetworkSpec } from '../domain/network.ts';
import type { FrontendSpec } from '../domain/services.ts';
import { poolTouching } from '../store/pools.ts';
import type { Tables } from '../store/tables.ts';

const SSH = 22;

const refuse = (field: string, value: string | number, why: string, fix: string): WeirError =>
  weirError('CONFLICT', `${field} ${value} ${why}`, { field, value, fix });

const hostAt = async (trx: Transaction<Tables>, address: string): Promise<string | undefined> => {
  const { rows } = await sql<{ id: string }>`
    select id from hosts where underlay_ip4 = ${address}::inet or underlay_ip6 = ${address}::inet limit 1`.execute(trx);
  return rows[0]?.id;
};

const workloadAt = async (trx: Transaction<Tables>, address: string): Promise<string | undefined> => {
  const { rows } = await sql<{ id: string }>`
    select id from workloads where ip4 = ${address}::inet or ip6 = ${address}::inet limit 1`.execute(trx);
  return rows[0]?.id;
};

/** Ports at which hosts hear what keeps the fleet together. */
const fleetPorts = ({
  health,
  tunnel_port,
  wireguard,
}: NetworkSpec): readonly (readonly [number, string, string])[] => [
  [health.port, 'TCP', 'probes of other hosts'],
  [SSH, 'TCP', 'SSH'],
  [tunnel_port, 'UDP', 'the tunnel'],
  [wireguard.port, 'UDP', 'WireGuard'],
];

const admitHostPort = async (
  trx: Transaction<Tables>,
  at: string,
  { address, port, protocol }: FrontendSpec,
  network: NetworkSpec,
): Promise<void> => {
  if ((await hostAt(trx, address)) === undefined) {
    const fix =
      "give the underlay address of a host (GET /v1/hosts), or make it external-ip: host ports are at hosts' addresses";
    throw refuse(`${at}.address`, address, 'is the address of no host', fix);
  }
  const taken = fleetPorts(network).find(([number, name]) => number === port && name === protocol);
  if (taken) throw refuse(`${at}.port`, port, `is where hosts hear ${taken[2]}`, 'give another port');
};

/**
 * Throws CONFLICT naming the field when the address of a frontend belongs to somebody. `control`: where the control plane is.
 * The caller holds the locks of addresses, so nobody gets it meanwhile.
 */
export const admitAddress = async (
  trx: Transaction<Tables>,
  at: string,
  frontend: FrontendSpec,
  network: NetworkSpec,
  control: readonly string[],
): Promise<void> => {
  const { type, address } = frontend;
  const field = `${at}.address`;
  const fix = 'give an address that nobody has, such as one of a pool (GET /v1/lb-pools)';
  if (control.includes(address)) throw refuse(field, address, 'is an address of the control plane', fix);
  const pool = await poolTouching(trx, address);
  if (pool) throw refuse(field, address, `lies in ${pool.cidr} of pool ${pool.pool}, which belongs to workloads`, fix);
  const workload = await workloadAt(trx, address);
  if (workload) throw refuse(field, address, `is the address of workload ${workload}`, fix);
  if (type === 'host-port') return admitHostPort(trx, at, frontend, network);
  const host = await hostAt(trx, address);
  if (host) {
    throw refuse(field, address, `is the address of host ${host}`, `${fix}, or make it node-port or host-port`);
  }
  const { prefix } = network.nat64;
  if (prefix !== '' && cidrContainsIp(parseCidr(prefix), parseIp(address))) {
    throw refuse(field, address, `lies in nat64.prefix ${prefix} of the network`, fix);
  }
};

/** The service that has the address for itself, when it is to become a host's or a workload's. */
export const serviceAt = async (trx: Transaction<Tables>, address: string): Promise<string | undefined> => {
  const { rows } = await sql<{ service_id: string }>`
    select service_id from service_frontends where address = ${address}::inet and type <> 'host-port' limit 1`.execute(
    trx,
  );
  return rows[0]?.service_id;
};
