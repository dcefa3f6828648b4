// SPDX-License-Identifier: Apache-2.0
/**
 * The health mesh as a matrix, path by path: from a host to an address of another. A page reads reports of as many hosts
 * as it takes to fill it, never the whole matrix, which grows with the square of the fleet.
 */
import { Cursors, type Page } from '@weir/http';
import { Type } from 'typebox';
import { listReports, type ReportRow } from '../store/health.ts';
import type { ProbeRow } from '../store/tables.ts';
import type { Operations } from './context.ts';
import type { PageRequest } from './pages.ts';

/** From so many unanswered probes on an address counts as unreachable, as agents count it. */
const FAILURES = 3;
/** Rounds that may be missed before a report says nothing of now. */
const ROUNDS = 3;
const SLACK_MS = 10_000;
const HOSTS_AT_ONCE = 50;

export type PathStatus = 'reachable' | 'unreachable' | 'unknown';
export const STATUSES: readonly PathStatus[] = ['reachable', 'unreachable', 'unknown'];

export interface PathFilter {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly status?: PathStatus | undefined;
}

export interface PathView {
  readonly from: string;
  readonly status: PathStatus;
  readonly probe: ProbeRow;
}

export const isStale = ({ reported_at, interval_s }: ReportRow, nowMs: number): boolean =>
  nowMs - reported_at.getTime() > ROUNDS * interval_s * 1_000 + SLACK_MS;

const keyOf = ({ host, address, kind }: ProbeRow): string => `${host} ${address} ${kind}`;

const pathsOf = (report: ReportRow, { to, status }: PathFilter, nowMs: number): PathView[] => {
  const stale = isStale(report, nowMs);
  return report.probes
    .filter(({ host }) => to === undefined || host === to)
    .map((probe): PathView => {
      const now = stale ? 'unknown' : probe.failures >= FAILURES ? 'unreachable' : 'reachable';
      return { from: report.host_id, status: now, probe };
    })
    .filter((path) => status === undefined || path.status === status)
    .sort((a, b) => (keyOf(a.probe) < keyOf(b.probe) ? -1 : 1));
};

const PATHS = new Cursors('health', Type.Tuple([Type.String(), Type.String()]));

export const pageOfPaths = async (
  { db }: Operations,
  filter: PathFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<PathView>> => {
  const scope = { ...filter };
  const last = PATHS.decode(cursor, scope);
  const wanted = { from: filter.from, unreachable: filter.status === 'unreachable' };
  const found: PathView[] = [];
  const nowMs = Date.now();
  let after = last?.[0] ?? '';
  for (let inclusive = last !== undefined; found.length <= limit; inclusive = false) {
    const reports = await listReports(db.kysely, wanted, after, inclusive, HOSTS_AT_ONCE);
    for (const report of reports) {
      const paths = pathsOf(report, filter, nowMs);
      const begun = last !== undefined && report.host_id === last[0];
      found.push(...(begun ? paths.filter(({ probe }) => keyOf(probe) > last[1]) : paths));
    }
    if (reports.length < HOSTS_AT_ONCE) break;
    after = reports.at(-1)?.host_id ?? after;
  }
  return PATHS.page(
    found.slice(0, limit + 1),
    limit,
    (path) => path,
    ({ from, probe }) => [from, keyOf(probe)] as [string, string],
    scope,
  );
};

const HOSTS = new Cursors('host-health', Type.String());

export const pageOfHostHealth = async (
  { db }: Operations,
  { limit, cursor }: PageRequest,
): Promise<Page<ReportRow>> => {
  const rows = await listReports(db.kysely, { unreachable: false }, HOSTS.decode(cursor) ?? '', false, limit + 1);
  return HOSTS.page(
    rows,
    limit,
    (row) => row,
    ({ host_id }) => host_id,
  );
};
