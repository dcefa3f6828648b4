// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by `npm run build`. Do not edit.
/** The kernel/user contract in TypeScript. */
export * from './config.ts';
export * from './drop-reasons.ts';
export * from './enums.ts';
export * from './maps.ts';
export * from './structs.ts';
