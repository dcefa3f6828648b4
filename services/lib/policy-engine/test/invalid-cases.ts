// SPDX-License-Identifier: Apache-2.0
/** Documents around what a case is about, and the form of a case: `~` stands before the place that is wrong. */

/** [name, text with ~ where the issue must point, path, message, fix] */
export type Case = readonly [string, string, string, string, string?];

export const knp = (spec: string): string =>
  `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\nspec:\n  ${spec.replaceAll('\n', '\n  ')}\n`;
export const cnp = (spec: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: p\nspec:\n  endpointSelector: {}\n  ${spec.replaceAll('\n', '\n  ')}\n`;
export const cnpMeta = (metadata: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  ${metadata}\nspec: {endpointSelector: {}, ingress: [{}]}\n`;
