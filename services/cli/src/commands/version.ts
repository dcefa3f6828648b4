// SPDX-License-Identifier: Apache-2.0
/** `weir version`: of this command and of the services that can be reached. */
import { escapeUntrusted } from '@weir/net';
import { SERVICES, type Service } from '../client.ts';
import type { Context } from '../context.ts';
import { CliFailure } from '../failure.ts';
import { toJson } from '../output/safe.ts';

const versionOf = async (context: Context, service: Service): Promise<string | null> => {
  try {
    const document = await context.client.json<{ info: { version: string } }>(service, '/docs/json', {
      timeoutMs: 3_000,
    });
    return document.info.version;
  } catch (error) {
    if (error instanceof CliFailure) return null;
    throw error;
  }
};

export const showVersion = async (context: Context, own: string, output: 'text' | 'json'): Promise<void> => {
  const names = Object.keys(SERVICES) as Service[];
  const versions = await Promise.all(names.map((name) => versionOf(context, name)));
  if (output === 'json') {
    context.out(toJson({ weir: own, services: Object.fromEntries(names.map((name, i) => [name, versions[i]])) }, 2));
    return;
  }
  context.out(`weir       ${own}`);
  for (const [i, name] of names.entries()) {
    context.out(`${name.padEnd(10)} ${escapeUntrusted(versions[i] ?? 'not reachable')}`);
  }
};
