// SPDX-License-Identifier: Apache-2.0
/** What the daemon says of its sessions (`show protocols all`) and of what it tells a peer (`show route`), read. Pure. */

export interface SessionFamily {
  readonly family: 4 | 6;
  readonly received: number;
  readonly advertised: number;
}

export interface Session {
  /** Of the protocol. */
  readonly name: string;
  /** idle, connect, active, open-sent, open-confirm, established, close, down */
  readonly state: string;
  /** Unix milliseconds; the daemon's clock is UTC. */
  readonly sinceMs: number;
  readonly error: string;
  readonly families: readonly SessionFamily[];
}

const HEAD = /^(\S+)\s+BGP\s+\S+\s+\S+\s+(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)/;
const STATE = /^\s*BGP state:\s+(\S+)/;
const ERROR = /^\s*Last error:\s+(.+?)\s*$/;
const CHANNEL = /^\s*Channel ipv([46])/;
const ROUTES = /^\s*Routes:\s+(\d+) imported,(?: \d+ filtered,)? (\d+) exported/;

/** OpenSent -> open-sent */
const wordOf = (state: string): string => state.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();

export const readSessions = (lines: readonly string[]): Map<string, Session> => {
  const found = new Map<string, Session>();
  let name: string | undefined;
  let family: 4 | 6 | undefined;
  const change = (more: Partial<Session>): void => {
    const session = name === undefined ? undefined : found.get(name);
    if (session) found.set(session.name, { ...session, ...more });
  };
  for (const line of lines) {
    if (/^\S/.test(line)) {
      const [, own, date, time] = HEAD.exec(line) ?? [];
      name = own;
      family = undefined;
      if (own !== undefined)
        found.set(own, { name: own, state: 'down', sinceMs: Date.parse(`${date}T${time}Z`), error: '', families: [] });
      continue;
    }
    const state = STATE.exec(line)?.[1];
    if (state) change({ state: wordOf(state) });
    const error = ERROR.exec(line)?.[1];
    if (error) change({ error });
    const channel = CHANNEL.exec(line)?.[1];
    if (channel) family = channel === '4' ? 4 : 6;
    const [, received, advertised] = ROUTES.exec(line) ?? [];
    if (received === undefined || family === undefined || name === undefined) continue;
    const counts = { family, received: Number(received), advertised: Number(advertised) };
    change({ families: [...(found.get(name)?.families ?? []), counts] });
  }
  return found;
};

const PREFIX = /^([0-9a-f:.]+\/\d+)\s/;

/** Prefixes of `show route`. */
export const readPrefixes = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => PREFIX.exec(line)?.[1] ?? []);
