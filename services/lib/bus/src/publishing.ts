// SPDX-License-Identifier: Apache-2.0
/**
 * What a service needs that publishes from its database: outbox, epochs, the feed of changes. Apart from the rest, because who
 * only reads the bus, such as an agent, should not load a library of SQL.
 */

export { ChangeFeed, type ChangeSource, type FeedEvent } from './change-feed.ts';
export { CHANGES_KEPT, type Change, changesChannel, noteChanges } from './changes.ts';
export { CHANGES_SQL } from './changes-sql.ts';
export { type Outbox, type OutboxOptions, type OutboxStats, type Published, runOutbox } from './dispatcher.ts';
export { newEpoch } from './epoch.ts';
export { type Enqueued, enqueueConfig, type OutboxDocument, outboxChannel } from './outbox.ts';
export { OUTBOX_SQL } from './outbox-sql.ts';
