// SPDX-License-Identifier: Apache-2.0
/** Kinds of events on the bus: where each is published, and who reads it into the store. */
import { type EventKind, subjects } from '@weir/bus';

/** Durable consumers. */
export const CONSUMERS: Readonly<Record<EventKind, string>> = { flow: 'analytics', process: 'analytics-processes' };

export const SUBJECTS = { flow: subjects.evtFlow, process: subjects.evtProcess } as const;
