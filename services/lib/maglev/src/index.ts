// SPDX-License-Identifier: Apache-2.0
export { createMaglev, type Maglev } from './maglev.ts';
export {
  buildTable,
  checkSize,
  decodeSeed,
  MAGLEV_SEED_BYTES,
  MAGLEV_SIZES,
  type MaglevBackend,
  type MaglevInput,
} from './table.ts';
