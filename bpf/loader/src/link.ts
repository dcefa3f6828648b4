// SPDX-License-Identifier: Apache-2.0
/**
 * A program attached to something through a BPF link. The attachment ends when the link is closed, unless it is
 * pinned; then it outlives this process until somebody detaches it or its interface or cgroup goes away.
 */
import { existsSync, rmSync } from 'node:fs';
import { weirError } from '@weir/errors';
import { attempt, attemptAsync } from './errors.ts';
import { linkTypeName } from './kinds.ts';
import { type Handle, native } from './native.ts';
import type { NativeLinkFacts } from './native-more.ts';
import type { BpfProgram } from './program.ts';

export interface LinkInfo {
  readonly id: number;
  readonly progId: number;
  /** `tcx`, `xdp`, `cgroup`, `tracing`, `raw_tracepoint`, `perf_event` ... */
  readonly type: string;
  /** tcx and XDP; 0 once the interface is gone. */
  readonly ifindex: number | undefined;
  /** enum bpf_attach_type, of tcx and cgroup links. */
  readonly attachType: number | undefined;
  readonly cgroupId: bigint | undefined;
}

export class Link {
  readonly name: string;
  #pinPath: string | undefined;
  /** @internal */
  readonly handle: Handle;

  /** @internal */
  constructor(name: string, facts: NativeLinkFacts, pinPath?: string) {
    this.name = name;
    this.handle = facts.handle;
    this.#pinPath = pinPath;
  }

  get pinPath(): string | undefined {
    return this.#pinPath;
  }

  info(): LinkInfo {
    const info = attempt(this.name, () => native().linkInfo(this.handle));
    const type = linkTypeName(info.type);
    const device = type === 'tcx' || type === 'xdp';
    const cgroup = type === 'cgroup';
    return {
      id: info.id,
      progId: info.progId,
      type,
      ifindex: device ? info.ifindex : undefined,
      attachType: cgroup ? info.cgroupAttachType : type === 'tcx' ? info.deviceAttachType : undefined,
      cgroupId: cgroup ? info.cgroupId : undefined,
    };
  }

  /** Replaces the program in place: every packet meets the old one or the new one. */
  async update(program: BpfProgram): Promise<void> {
    await attemptAsync(this.name, () => native().linkUpdate(this.handle, program.handle));
  }

  pin(path: string): void {
    attempt(this.name, () => native().pin(this.handle, path));
    this.#pinPath = path;
  }

  /** Ends the attachment now, whoever else holds the link, and removes the pin known here. */
  detach(): void {
    // links of tracing kinds cannot be detached: they end with their last holder
    attempt(this.name, () => native().linkDetach(this.handle));
    if (this.#pinPath) rmSync(this.#pinPath, { force: true });
    this.close();
  }

  get closed(): boolean {
    return !native().isOpen(this.handle);
  }

  /** A link that is pinned stays attached. */
  close(): void {
    native().close(this.handle);
  }
}

export const openPinnedLink = (path: string): Link =>
  new Link(
    path,
    attempt(path, () => native().linkByPath(path)),
    path,
  );

/** What a pinned link must be attached to, to be taken over. */
interface Place {
  readonly type: string;
  readonly ifindex?: number;
  readonly attachType?: number;
  readonly cgroupId?: bigint | undefined;
}

/**
 * With a pin path: a link that is pinned there and attached to the same place gets the program in place; one whose
 * interface or cgroup is gone is replaced; one that is attached elsewhere is an error, because replacing it would
 * leave that other place unguarded. Otherwise attaches anew.
 */
export const attachOrTakeOver = async (
  name: string,
  program: BpfProgram,
  pinPath: string | undefined,
  place: Place,
  attach: () => Promise<NativeLinkFacts>,
): Promise<Link> => {
  if (pinPath !== undefined && existsSync(pinPath)) {
    const link = openPinnedLink(pinPath);
    const info = link.info();
    const same = (Object.keys(place) as (keyof Place)[]).every((fact) => info[fact] === place[fact]);
    if (same) {
      await link.update(program);
      return link;
    }
    const gone = info.type === place.type && (info.ifindex === 0 || info.cgroupId === 0n);
    link.close();
    if (!gone) {
      throw weirError('KERNEL', `${name}: ${pinPath} holds a link that is attached elsewhere`, {
        field: 'pinPath',
        value: pinPath,
        fix: 'detach that link first, or use another pin path',
        details: { op: 'attach', errno: 17, errnoName: 'EEXIST', name, found: info },
      });
    }
    rmSync(pinPath, { force: true });
  }
  return new Link(name, await attemptAsync(name, attach), pinPath);
};

/** In place, also for a link that only its pin holds. */
export const updateLink = async (link: Link | string, program: BpfProgram): Promise<void> => {
  if (typeof link !== 'string') return link.update(program);
  const opened = openPinnedLink(link);
  try {
    await opened.update(program);
  } finally {
    opened.close();
  }
};
