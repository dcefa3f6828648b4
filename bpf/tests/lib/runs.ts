// SPDX-License-Identifier: Apache-2.0
/** What end-to-end tests run on the loaded programs. */
export { type FuzzResult, fuzzProgram } from './fuzz.ts';
export { accountForFlows, type LossAccount } from './losses.ts';
