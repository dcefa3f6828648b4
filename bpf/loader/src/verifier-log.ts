// SPDX-License-Identifier: Apache-2.0
/**
 * A refused program's log is up to 16 MB of register states. What a person needs is the end: the reason, the last
 * instructions with the C lines they came from, and which program it was. Everything else is cut.
 */

const INSTRUCTIONS = 12;

const isSource = (line: string): boolean => line.startsWith('; ');
const isInstruction = (line: string): boolean => /^\d+: \([0-9a-f]{2}\)/.test(line);
const isStatistics = (line: string): boolean =>
  /^(processed \d+ insns|verification time|stack depth|peak_states|mark_read)/.test(line);

const programBlocks = (log: string): { program: string; body: string[] }[] =>
  [...log.matchAll(/prog '([^']*)': -- BEGIN PROG LOAD LOG --\n([\s\S]*?)-- END PROG LOAD LOG --/g)].map((match) => ({
    program: match[1] ?? '',
    body: (match[2] ?? '').split('\n').filter((line) => line.trim() !== '' && !isStatistics(line)),
  }));

/** The last instructions, each under its C line; an instruction's register states are kept only for the last one. */
const tail = (body: readonly string[]): string[] => {
  const kept: string[] = [];
  let instructions = 0;
  let at = body.length - 1;
  for (; at >= 0 && instructions < INSTRUCTIONS; at--) {
    const line = body[at] ?? '';
    if (isInstruction(line)) {
      kept.unshift(instructions++ === 0 ? line : line.replace(/\s*; (R\d|frame\d)[\s\S]*$/, ''));
    } else if (isSource(line) || instructions === 0) {
      kept.unshift(line);
    }
  }
  // the C line above the first instruction that is kept
  const above = body.slice(0, at + 1).findLast(isSource);
  if (above !== undefined && isInstruction(kept[0] ?? '')) kept.unshift(above);
  return kept;
};

export interface VerifierVerdict {
  readonly program: string;
  /** The verifier's last line: why it refused. */
  readonly reason: string;
  /** The C line it was looking at, as `file.c:12: text` or only the text. */
  readonly source: string | undefined;
  readonly log: string;
}

export const readVerifierLog = (log: string): VerifierVerdict | undefined => {
  const block = programBlocks(log).at(-1);
  if (!block || block.body.length === 0) return undefined;
  const reason = block.body.at(-1) ?? '';
  const at = block.body.findLast(isSource)?.slice(2);
  const where = at?.match(/^(.*) @ ([^@]+:\d+)$/);
  return {
    program: block.program,
    reason,
    source: where ? `${where[2]}: ${where[1]?.trim()}` : at,
    log: tail(block.body).join('\n'),
  };
};

/** libbpf's own words without the verifier's: one line per warning, its `libbpf: ` prefix gone. */
export const libbpfWarnings = (log: string): string[] =>
  log
    .replace(/^.*-- BEGIN PROG LOAD LOG --\n[\s\S]*?-- END PROG LOAD LOG --\n?/gm, '')
    .split('\n')
    .map((line) => line.replace(/^libbpf: /, '').trim())
    .filter((line) => line !== '');
