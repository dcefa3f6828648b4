// SPDX-License-Identifier: Apache-2.0
/** One test, two lengths: short with every `npm test`, long with `npm run test:faults` and `npm run test:security`. */

export const isLong = process.env.WEIR_TEST_LONG === '1';

/** The figures to run with: those of the row when long, the fewest that still show the outcome otherwise. */
export const size = <T>(sizes: { readonly short: T; readonly long: T }): T => (isLong ? sizes.long : sizes.short);
