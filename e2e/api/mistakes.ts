// SPDX-License-Identifier: Apache-2.0
/** What the tables of operations have in common: mistakes that any operation may be asked with, and how they are told. */
export const invalid = { code: 'INVALID_ARGUMENT' as const };
export const missing = { code: 'NOT_FOUND' as const, field: 'id' };
/** A revision that nothing has. */
export const OTHER = 999_999n;

/** Of REST: a page of no items, and a path where nothing is. */
export const limit = (path: string) => ({ path: `${path}?limit=0`, ...invalid, field: 'limit' });
export const missingAt = (path: string, field = missing.field) => ({ path, ...missing, field });

/** Of gRPC: a page that is too long, and the names of a page's fields. */
export const BAD_LIMIT = { bad: { limit: 5_000 }, ...invalid, field: 'limit' };
export const pages = (items: string) => ({ items, size: 'limit', cursor: 'cursor', next: 'nextCursor' });
