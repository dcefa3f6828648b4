// SPDX-License-Identifier: Apache-2.0
/**
 * Healthcheck of a container: status 0 when it is well.
 *
 *   healthy.ts http URL      a service answers (its database and bus do, too, at /readyz)
 *   healthy.ts agent SOCKET  the agent answers, has the whole configuration and no errors; away from the bus it enforces
 *                            what it has, so the bus is not asked for
 *   healthy.ts file PATH     written within the last minute
 *   healthy.ts socket PATH   somebody listens
 */
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';

const FRESH_MS = 60_000;
const TIMEOUT_MS = 10_000;

const agentStatus = (socketPath: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ socketPath, path: '/status' }, (response) => text(response).then(resolve, reject))
      .once('error', reject)
      .end();
  });

const checks: Readonly<Record<string, (what: string) => Promise<boolean>>> = {
  http: async (url) => (await fetch(url)).ok,
  agent: async (path) => {
    const { configuration, errors } = JSON.parse(await agentStatus(path)) as {
      configuration: { complete: boolean };
      errors: readonly unknown[];
    };
    return configuration.complete && errors.length === 0;
  },
  file: async (path) => Date.now() - statSync(path).mtimeMs < FRESH_MS,
  socket: (path) =>
    new Promise((resolve, reject) => {
      const socket = createConnection(path, () => resolve(true));
      socket.once('connect', () => socket.destroy()).once('error', reject);
    }),
};

setTimeout(() => {
  process.stderr.write(`no answer within ${TIMEOUT_MS} ms\n`);
  process.exit(1);
}, TIMEOUT_MS).unref();
const [kind = '', what = ''] = process.argv.slice(2);
const check = checks[kind];
if (!check || what === '') {
  process.stderr.write(`usage: healthy.ts ${Object.keys(checks).join('|')} WHAT\n`);
  process.exit(2);
}
const well = await check(what).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  return false;
});
process.exit(well ? 0 : 1);
