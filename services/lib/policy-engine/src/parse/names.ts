// SPDX-License-Identifier: Apache-2.0
/**
 * Kubernetes' syntax of names, label keys and label values. Lengths are checked before patterns, so a hostile name cannot make
 * a pattern slow.
 */

const isLabelPart = (text: string): boolean => text.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);

/** RFC 1123 label: namespaces. */
export const isDnsLabel = (text: string): boolean => isLabelPart(text);

/** RFC 1123 subdomain: names of policies. */
export const isDnsSubdomain = (text: string): boolean => text.length <= 253 && text.split('.').every(isLabelPart);

const isQualifiedPart = (text: string, most: number): boolean =>
  text.length >= 1 && text.length <= most && /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(text);

/** `app`, `app.kubernetes.io/name`. Keys that carry a namespace's label may be longer by that prefix. */
export const isLabelKey = (text: string, extra = 0): boolean => {
  const slash = text.indexOf('/');
  if (slash < 0) return isQualifiedPart(text, 63 + extra);
  const prefix = text.slice(0, slash);
  return (
    prefix.length <= 253 &&
    prefix.split('.').every((part) => /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(part)) &&
    isQualifiedPart(text.slice(slash + 1), 63)
  );
};

export const isLabelValue = (text: string): boolean => text === '' || isQualifiedPart(text, 63);

export const DNS_LABEL_RULE =
  'use at most 63 lower-case letters, digits and "-", beginning and ending with a letter or digit';
export const DNS_SUBDOMAIN_RULE =
  'use lower-case letters, digits, "-" and ".", each part beginning and ending with a letter or digit, at most 253 characters';
export const LABEL_KEY_RULE =
  'use a key such as app or example.com/app: letters, digits, "-", "_", ".", at most 63 after the "/"';
export const LABEL_VALUE_RULE =
  'use at most 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit, or ""';
