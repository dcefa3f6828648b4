// SPDX-License-Identifier: Apache-2.0
export {
  readSkbContext,
  type SkbContext,
  type SkbContextOut,
  skbContext,
  type XdpContext,
  xdpContext,
} from './context.ts';
export { type KernelErrorDetails, kernelError } from './errors.ts';
export { CGROUP_HOOK, type CgroupHook, MAP_TYPE, PROGRAM_TYPE } from './kinds.ts';
export { BpfMap, createInner, createMap, type MapDefinition, openMapById, openPinnedMap, UPDATE } from './map.ts';
export type { Elements, TestRunResult } from './native.ts';
export { BpfObject, type OpenOptions, openObject } from './object.ts';
export { BpfProgram, openPinnedProgram, type TestRunOptions } from './program.ts';
