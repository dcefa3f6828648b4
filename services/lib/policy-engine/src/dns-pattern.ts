// SPDX-License-Identifier: Apache-2.0
/**
 * Names and patterns of DNS rules (`matchName`, `matchPattern`), with Cilium's meaning. Upper and lower case are the same, a
 * dot at the end means nothing. `*` stands for any number of the characters of a label, none included, and never for a dot;
 * a first label of two or more stars for one or more whole labels. A pattern of stars only is every name, the root too.
 *
 * Matching takes time linear in pattern and name, whatever both hold: they come from users and from the network.
 */

/** Of a name in text form, and what Cilium's API takes for a pattern. */
const MAX_LENGTH = 255;

export interface DnsMatcher {
  /** Lower case, without the dot at the end; '' is the root. Equal texts match the same names. */
  readonly text: string;
  matches(name: string): boolean;
}

export type DnsReading =
  | { readonly matcher: DnsMatcher; readonly message?: undefined }
  | { readonly matcher?: undefined; readonly message: string; readonly fix: string };

const refusal = (message: string, fix: string): DnsReading => ({ message, fix });

/** Labels of a name, last one last; undefined when it is no name. The root has none. */
const labelsOf = (name: string): string[] | undefined => {
  if (name.length > MAX_LENGTH + 1) return undefined;
  const text = (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  if (text === '') return [];
  const labels = text.split('.');
  return labels.includes('') ? undefined : labels;
};

const LABEL_CHARACTERS = /^[-a-z0-9_]*$/;

/** One label against one with stars: the text before the first star, after the last, and what lies between in order. */
const labelMatcher = (pattern: string): ((label: string) => boolean) => {
  const parts = pattern.split('*');
  const [first = ''] = parts;
  const last = parts.at(-1) ?? '';
  if (parts.length === 1) return (label) => label === pattern;
  const between = parts.slice(1, -1).filter((part) => part !== '');
  return (label) => {
    if (label.length < first.length + last.length || !label.startsWith(first) || !label.endsWith(last)) return false;
    const end = label.length - last.length;
    let at = first.length;
    for (const part of between) {
      const found = label.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return LABEL_CHARACTERS.test(label);
  };
};

const check = (text: string, allowed: RegExp, characters: string): DnsReading | undefined => {
  if (text === '') return refusal('is empty', 'write a name, such as www.example.com');
  if (text.length > MAX_LENGTH) {
    return refusal(`has ${text.length} characters, more than ${MAX_LENGTH}`, 'shorten it');
  }
  if (!allowed.test(text)) return refusal('has characters that are not allowed', `use only ${characters}`);
  if (labelsOf(text) === undefined || text === '.')
    return refusal('has an empty label', 'write one dot between labels');
  return undefined;
};

/** `matchPattern`. */
export const readDnsPattern = (text: string): DnsReading => {
  const problem = check(text, /^[-a-zA-Z0-9_.*]+$/, 'letters, digits and - _ . *');
  if (problem) return problem;
  const labels = labelsOf(text) as string[];
  const canonical = labels.join('.');
  if (/^\*+$/.test(canonical)) {
    const matches = (name: string): boolean => labelsOf(name)?.every((label) => LABEL_CHARACTERS.test(label)) ?? false;
    return { matcher: { text: '*', matches } };
  }
  const anyDepth = /^\*{2,}$/.test(labels[0] as string);
  const rest = (anyDepth ? labels.slice(1) : labels).map(labelMatcher);
  const matches = (name: string): boolean => {
    const asked = labelsOf(name);
    if (!asked || (anyDepth ? asked.length <= rest.length : asked.length !== rest.length)) return false;
    const free = asked.length - rest.length;
    return (
      rest.every((one, at) => one(asked[free + at] as string)) &&
      asked.slice(0, free).every((label) => LABEL_CHARACTERS.test(label))
    );
  };
  return { matcher: { text: canonical, matches } };
};

/** `matchName`: this name and no other. */
export const readDnsName = (text: string): DnsReading => {
  const problem = check(text, /^[-a-zA-Z0-9_.]+$/, 'letters, digits and - _ . (matchPattern takes *)');
  if (problem) return problem;
  const canonical = (labelsOf(text) as string[]).join('.');
  return { matcher: { text: canonical, matches: (name) => labelsOf(name)?.join('.') === canonical } };
};
