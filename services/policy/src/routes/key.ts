// SPDX-License-Identifier: Apache-2.0
/** A document's key as the end of a path. */
import { Type } from 'typebox';

export const Key = Type.Object(
  {
    kind: Type.String({ minLength: 1, maxLength: 63 }),
    namespace: Type.String({ minLength: 1, maxLength: 63, description: '- for a cluster-wide policy' }),
    name: Type.String({ minLength: 1, maxLength: 253 }),
  },
  { additionalProperties: false },
);
export type Key = { readonly kind: string; readonly namespace: string; readonly name: string };
export const keyOf = ({ kind, namespace, name }: Key): string => `${kind}/${namespace}/${name}`;
