// SPDX-License-Identifier: Apache-2.0
/** For tests of whatever enforces policies: random documents, and an opinion about them that shares no code with the engine. */
export { flow as arbitraryFlow, policies as arbitraryPolicies } from './arbitrary.ts';
export { askOracle, type OracleAnswer, type OracleFlow, type OraclePeer } from './oracle.ts';
