// SPDX-License-Identifier: Apache-2.0
/** The accounts of all hosts as metrics. Read once a scrape for all of them; every replica tells the same. */
import { observe } from '@weir/telemetry';
import type pg from 'pg';
import { type Account, readAccounts, watermarkAgeS } from './store/accounting.ts';

/** Metrics of one scrape are read within this time of each other. */
const FRESH_MS = 500;

/** Returns what ends the observation. */
export const observeAccounts = (pool: pg.Pool): (() => void) => {
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<Account[]> = Promise.resolve([]);
  const accounts = (): Promise<Account[]> => {
    const nowMs = performance.now();
    if (nowMs - readAtMs > FRESH_MS) {
      readAtMs = nowMs;
      // A database that is away leaves these out of the scrape, not the others.
      reading = readAccounts(pool).catch(() => []);
    }
    return reading;
  };
  const stops = [
    observe('weir_analytics_accounted_produced', async (result) => {
      for (const { host, kind, produced } of await accounts()) result(produced, { host, kind });
    }),
    observe('weir_analytics_accounted_flows', async (result) => {
      for (const { host, kind, stored, lostThrottle, lostRing, lostSpool, deadLetter, onItsWay } of await accounts()) {
        const lost = { throttle: lostThrottle, ring: lostRing, spool: lostSpool, dead_letter: deadLetter };
        const places = { stored, ...lost, on_its_way: onItsWay };
        for (const [place, count] of Object.entries(places)) result(count, { host, kind, place });
      }
    }),
    observe('weir_analytics_watermark_age_seconds', async (result) => {
      for (const account of await accounts()) {
        const ageS = watermarkAgeS(account);
        if (ageS !== null) result(ageS, { host: account.host, kind: account.kind });
      }
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
};
