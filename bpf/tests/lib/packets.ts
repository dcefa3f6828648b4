// SPDX-License-Identifier: Apache-2.0
/** Crafted packets, for test runs of other packages (@weir/bpf/testing). */
export { mac, mapped } from './bytes.ts';
export * from './packet.ts';
export * from './transport.ts';
