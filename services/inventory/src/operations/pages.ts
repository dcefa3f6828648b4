// SPDX-License-Identifier: Apache-2.0
/** Listing, page by page. Both doors show the same pages, and take each other's cursors. */
import { Cursors, type Page } from '@weir/http';
import { Type } from 'typebox';
import { type HostWithStatus, listHosts } from '../store/hosts.ts';
import type { IdentityView } from '../store/identities.ts';
import { listNamespaces, type NamespaceRow } from '../store/namespaces.ts';
import { listWorkloads, type WorkloadFilter, type WorkloadWithStatus } from '../store/workloads.ts';
import type { Operations } from './context.ts';
import { identitiesAfter } from './identities.ts';

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

const HOSTS = new Cursors('hosts', Type.String());
const NAMESPACES = new Cursors('namespaces', Type.String());
const WORKLOADS = new Cursors('workloads', Type.String());
const IDENTITIES = new Cursors('identities', Type.Integer());

const same = <T>(row: T): T => row;

export const pageOfHosts = async (
  { db }: Operations,
  { limit, cursor }: PageRequest,
): Promise<Page<HostWithStatus>> => {
  const rows = await listHosts(db.kysely, HOSTS.decode(cursor) ?? '', limit + 1);
  return HOSTS.page(rows, limit, same, ({ id }) => id);
};

export const pageOfNamespaces = async (
  { db }: Operations,
  { limit, cursor }: PageRequest,
): Promise<Page<NamespaceRow>> => {
  const rows = await listNamespaces(db.kysely, NAMESPACES.decode(cursor) ?? '', limit + 1);
  return NAMESPACES.page(rows, limit, same, ({ name }) => name);
};

export const pageOfWorkloads = async (
  { db }: Operations,
  filter: WorkloadFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<WorkloadWithStatus>> => {
  const scope = { ...filter };
  const rows = await listWorkloads(db.kysely, filter, WORKLOADS.decode(cursor, scope) ?? '', limit + 1);
  return WORKLOADS.page(rows, limit, same, ({ id }) => id, scope);
};

/** `labels`: all of them, as `app=web` or with their source, `reserved:host`. */
export const pageOfIdentities = async (
  operations: Operations,
  labels: readonly string[],
  { limit, cursor }: PageRequest,
): Promise<Page<IdentityView>> => {
  const scope = { labels };
  const rows = await identitiesAfter(operations, labels, IDENTITIES.decode(cursor, scope) ?? -1, limit + 1);
  return IDENTITIES.page(rows, limit, same, ({ identity }) => identity, scope);
};
