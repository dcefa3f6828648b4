// SPDX-License-Identifier: Apache-2.0
/**
 * JSON and YAML for a terminal. Both are exact for programs; what could drive a terminal (C1 controls, DEL, bidirectional and
 * zero-width characters) is written as \u escapes, which mean the same inside the quotes it stands in.
 */
import { Document, isScalar, visit } from 'yaml';

const UNSAFE =
  /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\udb40][\udc00-\udfff]/g;

const escapeUnits = (text: string): string =>
  text.replace(UNSAFE, (found) =>
    Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
      '',
    ),
  );

export const toJson = (value: unknown, indent?: number): string => escapeUnits(JSON.stringify(value, null, indent));

export const toYaml = (value: unknown): string => {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, node) {
      UNSAFE.lastIndex = 0;
      if (isScalar(node) && typeof node.value === 'string' && UNSAFE.test(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return escapeUnits(document.toString({ lineWidth: 0 }).trimEnd());
};
