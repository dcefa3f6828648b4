// SPDX-License-Identifier: Apache-2.0
/**
 * check.<host>: whether backends serve. What came while others were written is written together. What can't be written now is
 * tried again, unless something newer came meanwhile.
 */
import { type Bus, subjects } from '@weir/bus';
import type { Database } from '@weir/db';
import type { CheckVerdict } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { counter } from '@weir/telemetry';
import { cleanBig, cleanText } from '../domain/reports.ts';
import { applyVerdicts, type ToldVerdict } from '../operations/backend-health.ts';
import type { Tables } from '../store/tables.ts';
import type { Consumer } from './heartbeats.ts';

/** Backends die together: those of a host are one transaction. */
const GATHER_MS = 5;
const RETRY_MS = 1_000;
const REASON_MAX = 80;

const toldBy = (
  host: string,
  boot: bigint,
  { service, backend, sequence, healthy, reason }: CheckVerdict,
): ToldVerdict => ({
  ...{ host, service, backend, healthy },
  ...{ boot: cleanBig(boot), sequence: cleanBig(sequence), reason: cleanText(reason).slice(0, REASON_MAX) },
});

const keyOf = ({ host, service, backend }: ToldVerdict): string => `${host} ${service} ${backend}`;

export const consumeChecks = (bus: Bus, db: Database<Tables>, onError: (error: unknown) => void): Consumer => {
  const received = counter('weir_inventory_check_verdicts_total');
  const changed = counter('weir_inventory_checked_services_total');
  const waiting = new Map<string, ToldVerdict>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let isStopped = false;

  /** How soon to go on. */
  const write = async (): Promise<number> => {
    const verdicts = [...waiting.values()];
    waiting.clear();
    try {
      changed.add(await applyVerdicts(db, verdicts));
      return GATHER_MS;
    } catch (error) {
      onError(error);
      for (const one of verdicts) if (!waiting.has(keyOf(one))) waiting.set(keyOf(one), one);
      return RETRY_MS;
    }
  };
  const due = (ms: number): void => {
    if (isStopped || timer !== undefined || writing !== undefined || waiting.size === 0) return;
    timer = setTimeout(() => {
      timer = undefined;
      writing = write().then((ms) => {
        writing = undefined;
        due(ms);
      });
    }, ms);
  };

  const subscription = bus.nc.subscribe(subjects.check.wildcard, {
    callback: (error, message) => {
      if (error) return onError(error);
      try {
        const host = subjects.check.parse(message.subject)?.host;
        if (host === undefined) return;
        const { boot, verdicts } = subjects.check.decode(message.data);
        received.add(verdicts.length);
        for (const verdict of verdicts) {
          const told = toldBy(host, boot, verdict);
          waiting.set(keyOf(told), told);
        }
        due(GATHER_MS);
      } catch (failure) {
        onError(failure);
      }
    },
  });

  return {
    stop: async () => {
      isStopped = true;
      subscription.unsubscribe();
      clearTimeout(timer);
      await writing;
    },
  };
};
