// SPDX-License-Identifier: Apache-2.0
/** For tests of whatever enforces policies: random documents, and an opinion about them that shares no code with the engine. */
export { flow as arbitraryFlow } from './arbitrary.ts';
export { policies as arbitraryPolicies } from './arbitrary-tiers.ts';
export type { OracleAnswer, OracleFlow, OraclePeer } from './oracle.ts';
export { askOracle } from './oracle-tiers.ts';
