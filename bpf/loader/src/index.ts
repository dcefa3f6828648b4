// SPDX-License-Identifier: Apache-2.0
export {
  attachCgroup,
  attachRawTracepoint,
  attachTcx,
  attachTpBtf,
  attachTracepoint,
  attachUprobe,
  attachXdp,
  type DeviceOptions,
  runIterator,
  type UprobeOptions,
} from './attach.ts';
export { type AttemptRequest, type AttemptResult, attempt } from './attempt.ts';
export {
  readSkbContext,
  type SkbContext,
  type SkbContextOut,
  skbContext,
  type XdpContext,
  xdpContext,
} from './context.ts';
export { isErrno, type KernelErrorDetails, kernelError } from './errors.ts';
export { CGROUP_HOOK, type CgroupHook, MAP_TYPE, PROGRAM_TYPE } from './kinds.ts';
export { Link, type LinkInfo, openPinnedLink } from './link.ts';
export { BpfMap, createInner, createMap, type MapDefinition, openMapById, openPinnedMap, UPDATE } from './map.ts';
export { cgroup2Mount, ensureBpffs, ensureTracefs } from './mounts.ts';
export type { Elements, TestRunResult } from './native.ts';
export type { AddressOptions, InterfaceAddress, Neighbour, NeighbourOptions, Scope } from './netlink/addresses.ts';
export type { NetworkLink, VethOptions, VxlanOptions, VxlanPorts } from './netlink/links.ts';
export type { NetworkChange } from './netlink/monitor.ts';
export { Netlink, openNetlink } from './netlink/netlink.ts';
export { type FqOptions, type Qdisc, type QdiscPlace, ROOT as ROOT_QDISC } from './netlink/qdiscs.ts';
export { ROUTE_TABLE, type Route, type RouteFilter, type RouteOptions, type RouteType } from './netlink/routes.ts';
export type { Rule, RuleOptions } from './netlink/rules.ts';
export { destroySockets } from './netlink/sockets.ts';
export {
  openWireguard,
  WIREGUARD_KEY_BYTES,
  type Wireguard,
  type WireguardDevice,
  type WireguardPeer,
  type WireguardPeerChange,
  type WireguardSettings,
} from './netlink/wireguard.ts';
export {
  createNetns,
  deleteNetns,
  getSysctl,
  isNetns,
  listenInNetns,
  netnsCookie,
  netnsId,
  setSysctl,
} from './netns.ts';
export { BpfObject, type OpenOptions, openObject } from './object.ts';
export { PING_MAX, type PingResult, ping } from './ping.ts';
export { type Features, featureProbe } from './probe.ts';
export { BpfProgram, openPinnedProgram, TEST_RUN_REFUSED, type TestRunOptions } from './program.ts';
export {
  clockOffsetNs,
  type EncodeOptions,
  encodeFlows,
  type FlowBatchBytes,
  type FlowRingOptions,
  type Ring,
  type RingOptions,
  type RingStats,
  ringBuffer,
} from './ringbuf.ts';
export {
  attachClsact,
  attachTc,
  CLSACT_PLACE,
  ClsactFilter,
  type ClsactOptions,
  clsactFilter,
  type TcAttachment,
  type TcDirection,
  tcxSupported,
  updateLink,
} from './tc.ts';
