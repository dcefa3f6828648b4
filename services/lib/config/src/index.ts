// SPDX-License-Identifier: Apache-2.0

export { loadConfig } from './load-config.ts';
export * as settings from './settings.ts';
export { settingsTable, withSettingsTable } from './settings-table.ts';
