// SPDX-License-Identifier: Apache-2.0
/**
 * The program that takes answers to clients of services out of what the tunnel has given this host, on the tunnel's
 * device behind the one that judges. There while clients are served and there is a tunnel.
 */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BpfObject, clsactFilter, openPinnedLink, tcxSupported } from '@weir/loader';
import { OVERLAY_NAME } from '../../plan/names.ts';
import { FOREIGN_PLACE, type KernelAttachments, kernelAttachments } from './attachments.ts';
import { withNetlink } from './netlink.ts';

const SIDES = [{ direction: 'ingress', program: 'from_tunnel' }] as const;

const dirOf = (bpffsDir: string): string => join(bpffsDir, 'answer-links');

const deviceOf = (hostNetns: string | undefined): Promise<number> =>
  withNetlink(hostNetns, async (netlink) => (await netlink.linkByName(OVERLAY_NAME))?.ifindex ?? 0);

export class TunnelAnswers {
  readonly #attachments: KernelAttachments;
  readonly #hostNetns: string | undefined;
  #ifindex = 0;

  private constructor(attachments: KernelAttachments, hostNetns: string | undefined) {
    this.#attachments = attachments;
    this.#hostNetns = hostNetns;
  }

  static async open(object: BpfObject, bpffsDir: string, hostNetns?: string): Promise<TunnelAnswers> {
    const attachments = kernelAttachments(object, {
      ...{ linksDir: dirOf(bpffsDir), tcx: await tcxSupported(), sides: SIDES, foreign: true },
      ...(hostNetns ? { hostNetns } : {}),
    });
    return new TunnelAnswers(attachments, hostNetns);
  }

  /** On the device that there is now. */
  async sync(): Promise<void> {
    const ifindex = await deviceOf(this.#hostNetns);
    if (ifindex === this.#ifindex) return;
    // Of a device that is gone only the pin is left.
    if (this.#ifindex !== 0) await this.#attachments.release(OVERLAY_NAME);
    this.#ifindex = 0;
    if (ifindex !== 0) await this.#attachments.attach(OVERLAY_NAME, ifindex);
    this.#ifindex = ifindex;
  }

  /** What is missing, put right by the next `sync`. */
  async inspect(): Promise<string[]> {
    if (this.#ifindex === 0 || (await deviceOf(this.#hostNetns)) !== this.#ifindex) return [];
    const missing = await this.#attachments.check(OVERLAY_NAME, this.#ifindex);
    if (missing.length === 0) return [];
    await this.#attachments.attach(OVERLAY_NAME, this.#ifindex);
    return missing.map((what) => `${OVERLAY_NAME}: ${what}`);
  }

  /** What is pinned stays attached. */
  close(): void {
    this.#attachments.close();
  }
}

/** Whoever attached it. */
export const removeTunnelAnswers = async (bpffsDir: string, hostNetns?: string): Promise<void> => {
  const dir = dirOf(bpffsDir);
  if (!existsSync(dir)) return;
  for (const pin of await readdir(dir)) openPinnedLink(join(dir, pin)).detach();
  await rm(dir, { recursive: true, force: true });
  if (await tcxSupported()) return;
  const ifindex = await deviceOf(hostNetns);
  if (ifindex === 0) return;
  const filter = clsactFilter(ifindex, 'ingress', { ...FOREIGN_PLACE, ...(hostNetns ? { netns: hostNetns } : {}) });
  if ((await filter.info()).progId !== undefined) await filter.detach();
};
