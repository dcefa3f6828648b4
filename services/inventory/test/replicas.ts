// SPDX-License-Identifier: Apache-2.0
/** Several processes of the service on one database, as behind a load balancer. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { createKeys } from '@weir/bus';
import { startTestNats } from '@weir/bus/testing';
import { spawnService } from './process.ts';

export interface ReplicaAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at freely
  readonly body: any;
}

export interface Replicas {
  readonly count: number;
  /** Asks one of them. */
  call(replica: number, method: string, path: string, body?: unknown): Promise<ReplicaAnswer>;
  stop(): Promise<void>;
}

const whenListening = async (child: ChildProcess, errors: () => string): Promise<string> => {
  if (!child.stdout) throw new Error('its output is a pipe');
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, http } = JSON.parse(line) as { msg: string; http?: string };
    if (msg === 'listening' && http) return http;
  }
  throw new Error(`a replica ended before it listened: ${errors()}`);
};

/** All start at the same moment. */
export const startReplicas = async (databaseUrl: string, count: number): Promise<Replicas> => {
  const nats = await startTestNats();
  const signing = createKeys('account').seed;
  let logged = '';
  const children = Array.from({ length: count }, () => {
    const child = spawnService({ databaseUrl, natsUrl: nats.url, signing });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      logged = (logged + text).slice(-10_000);
    });
    return child;
  });
  const stop = async (): Promise<void> => {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        await exited;
      }),
    );
    await nats.stop();
  };
  try {
    const urls = await Promise.all(children.map((child) => whenListening(child, () => logged)));
    // What they say from now on is not read: a full pipe would hold them up.
    for (const child of children) child.stdout.resume();
    return {
      count,
      stop,
      call: async (replica, method, path, body) => {
        const response = await fetch(urls[replica % count] + path, {
          method,
          ...(body === undefined
            ? {}
            : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
        });
        const text = await response.text();
        return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
