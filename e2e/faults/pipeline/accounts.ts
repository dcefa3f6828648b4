// SPDX-License-Identifier: Apache-2.0
/** What became of a host's flows: counted in the tables, and as the API accounts for them. */

import { createPool } from '@weir/db';
import { callApi } from '@weir/infra/api';
import type { ControlPlane } from '@weir/infra/pipeline';
import { type HostAccount, hostAccounts } from '../../lib/host-accounts.ts';

type Pool = ReturnType<typeof createPool>;

/** As SQL finds it, whatever anybody counted. */
export interface Rows {
  readonly rows: number;
  /** Distinct (boot, seq). */
  readonly distinct: number;
  readonly refused: number;
  readonly packets: number;
  /** The same packets in the sums per minute. */
  readonly edgePackets: number;
}

/** Of GET /v1/watermarks: one run of an agent. */
export interface Run {
  readonly boot: number;
  readonly produced: number;
  readonly stored: number;
  readonly lost_ring: number;
  readonly lost_spool: number;
  readonly committed_seq: number | null;
  readonly next_seq: number;
  readonly gaps: readonly { readonly first: number; readonly last: number }[];
  readonly losses: readonly {
    readonly first: number;
    readonly last: number;
    readonly lost: number;
    readonly refused: number;
    readonly from: string | null;
  }[];
}

export class Accounts {
  readonly #pool: Pool;
  readonly #control: Pick<ControlPlane, 'urls'>;

  constructor(control: Pick<ControlPlane, 'urls' | 'databaseUrl'>) {
    this.#control = control;
    this.#pool = createPool({
      url: control.databaseUrl,
      schema: 'analytics',
      name: 'test',
      max: 2,
      statementTimeoutMs: 120_000,
    });
  }

  async count(host: string): Promise<number> {
    const { rows } = await this.#pool.query(
      'select count(*)::int4 as n from flows join hosts h on h.id = host_id where h.name = $1',
      [host],
    );
    return rows[0].n;
  }

  async rows(host: string): Promise<Rows> {
    const { rows } = await this.#pool.query(
      `select count(*)::int4 as rows, count(distinct (boot, seq))::int4 as distinct,
              count(*) filter (where verdict = 2)::int4 as refused, coalesce(sum(packets), 0)::int8 as packets,
              (select coalesce(sum(packets + reply_packets), 0)::int8
                 from edges join hosts h on h.id = host_id where h.name = $1) as edge_packets
         from flows join hosts h on h.id = host_id where h.name = $1`,
      [host],
    );
    const { edge_packets: edgePackets, packets, ...counts } = rows[0];
    return { ...counts, packets: Number(packets), edgePackets: Number(edgePackets) };
  }

  /** Of all that the tables hold of a host but when it came. */
  async checksum(host: string): Promise<string> {
    const { rows } = await this.#pool.query(
      `select md5(string_agg(f::text, '|' order by boot, seq)) as flows,
              (select md5(string_agg(row(client_identity, server_identity, protocol, port, verdict, direction, connections,
                                        packets, bytes, reply_packets, reply_bytes)::text, '|'
                                    order by minute, client_identity, server_identity, port, verdict, direction))
                 from edges e where e.host_id = h.id) as edges
         from hosts h join lateral (select time, boot, seq, connection_ns, packets, bytes, source_ip, destination_ip,
                                           source_identity, destination_identity, detail, verdict
                                      from flows where host_id = h.id) f on true
        where h.name = $1 group by h.id`,
      [host],
    );
    return JSON.stringify(rows[0]);
  }

  async deadLetters(host: string): Promise<{ reason: string; message_id: string; deliveries: number }[]> {
    const { rows } = await this.#pool.query(
      'select reason, message_id, deliveries from dead_letters where host = $1 order by id',
      [host],
    );
    return rows;
  }

  /** From now on Postgres refuses flows of this rule. */
  async refuseRule(rule: number | undefined): Promise<void> {
    await this.#pool.query('alter table flows drop constraint if exists test_refuses');
    if (rule !== undefined)
      await this.#pool.query(`alter table flows add constraint test_refuses check (rule_id <> ${rule})`);
  }

  /** Throws when nobody has heard of the host. */
  async account(host: string): Promise<HostAccount> {
    const [account] = await hostAccounts(this.#control.urls.analytics, host);
    if (!account) throw new Error(`analytics knows no host ${host}`);
    return account;
  }

  async runs(host: string): Promise<readonly Run[]> {
    const url = `${this.#control.urls.analytics}/v1/watermarks?host=${host}&boots=all`;
    return (await callApi<{ items: Run[] }>(url)).items;
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}
