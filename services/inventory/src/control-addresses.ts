// SPDX-License-Identifier: Apache-2.0
/**
 * Where the control plane is: what is set, the servers of the bus, the database. No prefilter may contain them, and no service
 * has one of them.
 */
import { lookup } from 'node:dns/promises';
import { weirError } from '@weir/errors';
import { canonicalIp, isIp } from '@weir/net';

const LOOPBACK = /^(127\.|::1$)/;

const hostOf = (server: string): string =>
  new URL(server.includes('://') ? server : `nats://${server}`).hostname.replace(/^\[|\]$/g, '');

/** What can't be resolved now is left out: the hosts can't reach it by that name either. */
const addressesOf = async (name: string): Promise<string[]> => {
  if (name === '') return [];
  if (isIp(name)) return [name];
  const found = await lookup(name, { all: true }).catch(() => []);
  return found.map(({ address }) => address).filter(isIp);
};

/** Loopback addresses are left out: nobody hears from them over an uplink. */
export const controlAddresses =
  (servers: readonly string[], given: readonly string[]) => async (): Promise<readonly string[]> => {
    const found = await Promise.all(servers.map((server) => addressesOf(hostOf(server.trim()))));
    const all = [...given, ...found.flat()].map(canonicalIp);
    return [...new Set(all)].filter((address) => !LOOPBACK.test(address));
  };

/** Throws INVALID_ARGUMENT naming the setting. */
export const checkControlAddresses = (given: readonly string[]): void => {
  const wrong = given.find((text) => !isIp(text));
  if (wrong === undefined) return;
  throw weirError(
    'INVALID_ARGUMENT',
    `the setting WEIR_INVENTORY_CONTROL_ADDRESSES: ${JSON.stringify(wrong)} is not an IP address`,
    {
      field: 'WEIR_INVENTORY_CONTROL_ADDRESSES',
      value: wrong,
      fix: 'give addresses separated by commas, such as 192.0.2.10,2001:db8::10',
    },
  );
};
