// SPDX-License-Identifier: Apache-2.0
/** The addon's functions for links, the network and ring buffers; see native.ts. */
import type { Handle } from './native.ts';

// biome-ignore lint/suspicious/noEmptyInterface: filled below as the parts arrive
export interface NativeLinks {}

export interface NativeNet {
  createNetns(path: string): Promise<void>;
  deleteNetns(path: string): Promise<void>;
  sysctl(netns: string | undefined, key: string, value: string | undefined): Promise<string>;
}

export interface NativeRing {
  close(handle: Handle): boolean;
}
