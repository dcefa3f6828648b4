// SPDX-License-Identifier: Apache-2.0
export { ERROR_CODES, type ErrorCode } from './codes.ts';
export { nearest } from './nearest.ts';
export { type Problem, toProblem } from './problem.ts';
export { type FieldIssue, isWeirError, toWeirError, WeirError, type WeirErrorFacts, weirError } from './weir-error.ts';
