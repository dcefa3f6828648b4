// SPDX-License-Identifier: Apache-2.0
/** Documents as the body of a request: plain text, or with the files that the text was put together from. */
import { ref } from '@weir/http';
import { MAX_BYTES } from '@weir/policy-engine';
import { Type } from 'typebox';
import type { Source } from '../domain/sources.ts';
import { PlacedDocumentsSchema } from './views.ts';

/** Documents with the files that they are from. */
export const PLACED = 'application/vnd.weir.documents+json';
/** In JSON a text takes up to twice its bytes, but for control characters; then come the names of the files. */
export const PLACED_BYTES = 3 * MAX_BYTES;

export const DOCUMENTS_BODY = {
  description:
    'Policy documents, one or several, as YAML or JSON: NetworkPolicy (networking.k8s.io/v1), ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy and CiliumCIDRGroup (cilium.io/v2), FirewallPolicy (weir.io/v1)',
  content: {
    'application/yaml': { schema: Type.String({ minLength: 1 }) },
    'application/json': { schema: Type.Unknown() },
    [PLACED]: { schema: ref(PlacedDocumentsSchema) },
  },
};

interface Placed {
  readonly documents: string;
  readonly sources: readonly { readonly file: string; readonly first_line: number }[];
}

export const documentsOf = (body: unknown): { text: string; sources: readonly Source[] } => {
  if (typeof body !== 'object' || body === null) return { text: typeof body === 'string' ? body : '', sources: [] };
  const { documents, sources } = body as Placed;
  return { text: documents, sources: sources.map(({ file, first_line: firstLine }) => ({ file, firstLine })) };
};
