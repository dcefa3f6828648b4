// SPDX-License-Identifier: Apache-2.0
/** What is wrong with a request, collected: everything is told at once, each with field, value and fix. */
import { type FieldIssue, weirError } from '@weir/errors';
import { type Cidr, type CidrOptions, parseCidr } from '@weir/net';

export class Issues {
  readonly #found: FieldIssue[] = [];

  add(path: string, value: unknown, message: string, fix: string): void {
    this.#found.push({ path, value, message, fix });
  }

  /** The prefix, or undefined and an issue. Host bits that are set are refused: one of the two is a mistake. */
  cidr(path: string, text: string, options: CidrOptions = { strict: true }): Cidr | undefined {
    try {
      return parseCidr(text, options);
    } catch (error) {
      const { facts, message } = error as ReturnType<typeof weirError>;
      const why = message.replace(/^.*? is not a CIDR: /, 'is not a CIDR: ');
      // A fix for an address alone would not be one for a prefix.
      const fix = why.includes('is not an IP address') ? undefined : facts.fix;
      this.add(path, text, why, fix ?? 'write it such as 10.0.0.0/8 or 2001:db8::/32');
      return undefined;
    }
  }

  /** Prefixes of a list; what is wrong, or there twice, is an issue. */
  cidrs(path: string, texts: readonly string[]): Cidr[] {
    const seen = new Set<string>();
    return texts.flatMap((text, i) => {
      const cidr = this.cidr(`${path}[${i}]`, text);
      if (cidr === undefined) return [];
      if (seen.has(cidr.text)) this.add(`${path}[${i}]`, text, 'is there twice', 'leave it out');
      seen.add(cidr.text);
      return [cidr];
    });
  }

  /** Throws INVALID_ARGUMENT when something was found. */
  throw(): void {
    const [first] = this.#found;
    if (first === undefined) return;
    const more = this.#found.length > 1 ? ` (and ${this.#found.length - 1} more)` : '';
    throw weirError('INVALID_ARGUMENT', `${first.path} ${JSON.stringify(first.value)} ${first.message}${more}`, {
      field: first.path,
      value: first.value,
      fix: first.fix,
      issues: this.#found,
    });
  }
}
