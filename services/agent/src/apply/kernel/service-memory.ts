// SPDX-License-Identifier: Apache-2.0
/** How much programs at sockets remember of clients; counted by a program, because no kernel tells it. */
import { service_count_ctx } from '@weir/bpf';
import type { BpfObject } from '@weir/loader';
import type { ServiceMemory } from '../ports.ts';

export const serviceMemoryOf = async (object: BpfObject): Promise<Omit<ServiceMemory, 'forgotten'>> => {
  const ctx = service_count_ctx.encode({ sockets: 0n, clients: 0n, failed: 0 });
  const { ctxOut } = await object.program('services_count').testRun({ ctx });
  const { sockets, clients, failed } = service_count_ctx.decode(ctxOut);
  if (failed) throw new Error('the walk over what sockets asked for failed');
  return { sockets: Number(sockets), clients: Number(clients) };
};
