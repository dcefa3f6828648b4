// SPDX-License-Identifier: Apache-2.0
/** What end-to-end tests run on the loaded programs. */
export { type FuzzResult, fuzzProgram } from './fuzz.ts';
export { fuzzOther, OTHER_PROGRAMS, type OtherResult } from './fuzz-others.ts';
export { accountForFlows, type LossAccount } from './losses.ts';
