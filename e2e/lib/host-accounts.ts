// SPDX-License-Identifier: Apache-2.0
/** GET /v1/accounting: what became of every flow of a host, over all runs of its agent. */
import { callApi } from '@weir/infra/api';

export interface HostAccount {
  readonly host: string;
  readonly kind: string;
  readonly runs: number;
  readonly produced: number;
  readonly stored: number;
  readonly lost: {
    readonly throttle: number;
    readonly ring: number;
    readonly spool: number;
    readonly dead_letter: number;
  };
  readonly on_its_way: number;
  readonly watermark: { readonly seq: number; readonly age_s: number };
  readonly gaps: readonly unknown[];
}

/** `analytics`: where that service listens. Hosts that nobody has heard of are not in the answer. */
export const hostAccounts = async (analytics: string, ...hosts: readonly string[]): Promise<readonly HostAccount[]> => {
  const query = new URLSearchParams(hosts.map((host): [string, string] => ['host', host]));
  const { items } = await callApi<{ items: HostAccount[] }>(`${analytics}/v1/accounting?${query}`);
  return items.filter(({ kind }) => kind === 'flow');
};
