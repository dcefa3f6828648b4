// SPDX-License-Identifier: Apache-2.0
/** Documents for tests. */
export const policy = (spec: string, kind = 'TracingPolicy'): string =>
  `apiVersion: cilium.io/v1alpha1\nkind: ${kind}\nmetadata:\n  name: p\nspec:\n  ${spec.replaceAll('\n', '\n  ')}\n`;

/** One kprobe with an argument of `type` and these selectors. */
export const probe = (selectors: string, type = 'int'): string =>
  policy(
    `kprobes:\n- call: f\n  syscall: false\n  args: [{index: 0, type: ${type}}]\n  selectors:\n  - ${selectors.replaceAll('\n', '\n    ')}`,
  );

export const filter = (operator: string, values: string, type = 'int'): string =>
  probe(`matchArgs: [{index: 0, operator: ${operator}${values === '' ? '' : `, values: [${values}]`}}]`, type);

export const action = (text: string): string => probe(`matchActions: [{${text}}]`);
