// SPDX-License-Identifier: Apache-2.0
/**
 * tc attachment that works on every kernel we support: tcx links where they exist, else clsact filters. Both replace
 * a program in place; neither is ever removed to be changed.
 */
import { attachTcx, type DeviceOptions } from './attach.ts';
import { attemptAsync } from './errors.ts';
import { type Link, updateLink as updateBpfLink } from './link.ts';
import { native } from './native.ts';
import type { TcFilterArguments } from './native-more.ts';
import type { BpfProgram } from './program.ts';

export type TcDirection = 'ingress' | 'egress';

/** Our place among an interface's filters; low priorities run first. */
export const CLSACT_PLACE = { handle: 1, priority: 1 } as const;

export interface ClsactOptions {
  readonly handle?: number;
  readonly priority?: number;
  readonly netns?: string;
}

/** A filter is not tied to this process: it stays until it is detached or its interface goes. */
export class ClsactFilter {
  readonly name: string;
  readonly #filter: TcFilterArguments;

  /** @internal */
  constructor(filter: TcFilterArguments) {
    const [ifindex, direction, handle, priority] = filter;
    this.name = `clsact filter on interface ${ifindex} ${direction} (handle ${handle}, priority ${priority})`;
    this.#filter = filter;
  }

  async info(): Promise<{ readonly progId: number | undefined; readonly type: 'clsact'; readonly ifindex: number }> {
    const progId = await attemptAsync(this.name, () => native().tcQuery(...this.#filter));
    return { progId, type: 'clsact', ifindex: this.#filter[0] };
  }

  async update(program: BpfProgram): Promise<void> {
    await attemptAsync(this.name, () => native().tcAttach(program.handle, ...this.#filter));
  }

  async detach(): Promise<void> {
    await attemptAsync(this.name, () => native().tcDetach(...this.#filter));
  }

  /** Nothing is held. */
  close(): void {}
}

export type TcAttachment = Link | ClsactFilter;

/** The filter as it may be; attaches nothing. */
export const clsactFilter = (ifindex: number, direction: TcDirection, options: ClsactOptions = {}): ClsactFilter => {
  const { handle = CLSACT_PLACE.handle, priority = CLSACT_PLACE.priority, netns } = options;
  return new ClsactFilter([ifindex, direction, handle, priority, netns]);
};

/** New, or in place of the filter with that handle and priority. */
export const attachClsact = async (
  program: BpfProgram,
  ifindex: number,
  direction: TcDirection,
  options: ClsactOptions = {},
): Promise<ClsactFilter> => {
  const filter = clsactFilter(ifindex, direction, options);
  await filter.update(program);
  return filter;
};

let tcx: Promise<boolean> | undefined;

export const tcxSupported = (): Promise<boolean> => {
  tcx ??= attemptAsync('tcx', () => native().tcxSupported());
  return tcx;
};

export const attachTc = async (
  program: BpfProgram,
  ifindex: number,
  direction: TcDirection,
  options: DeviceOptions & ClsactOptions = {},
): Promise<TcAttachment> =>
  (await tcxSupported())
    ? attachTcx(program, ifindex, direction, options)
    : attachClsact(program, ifindex, direction, options);

/** In place: every packet meets the old program or the new one. */
export const updateLink = (link: TcAttachment | string, program: BpfProgram): Promise<void> =>
  link instanceof ClsactFilter ? link.update(program) : updateBpfLink(link, program);
