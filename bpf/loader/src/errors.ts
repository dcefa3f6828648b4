// SPDX-License-Identifier: Apache-2.0
/** Turns what the addon throws into the platform's error: what was tried, on what, why it failed, what would work. */
import { getSystemErrorMap } from 'node:util';
import { isWeirError, type WeirError, weirError } from '@weir/errors';
import { libbpfWarnings, readVerifierLog } from './verifier-log.ts';

interface NativeError extends Error {
  readonly op: string;
  readonly errno: number;
  readonly log: string;
}

export interface KernelErrorDetails {
  readonly [fact: string]: unknown;
  /** What was tried, e.g. `map update`. */
  readonly op: string;
  /** Positive errno; 0 when the loader itself refused. */
  readonly errno: number;
  /** Of the errno, e.g. `E2BIG`. */
  readonly errnoName: string;
  /** Of the map, program, link or interface. */
  readonly name: string;
  readonly verifierLog?: string;
}

const FIXES: Readonly<Record<string, string>> = {
  EPERM: 'run with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; some kernels refuse this program type even then',
  EACCES: 'run with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON',
  E2BIG: 'raise the map’s max_entries or delete entries first',
  ENODEV: 'check that the interface exists in this network namespace',
};

const isNativeError = (error: unknown): error is NativeError =>
  error instanceof Error && typeof (error as Partial<NativeError>).op === 'string';

const ENOTSUPP = 524; // the kernel's own; libc has no name for it

const errnoFacts = (errno: number): readonly [string, string] => {
  if (errno === ENOTSUPP) return ['ENOTSUPP', 'operation not supported'];
  return getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
};

export const kernelError = (thrown: unknown, name: string): WeirError => {
  if (isWeirError(thrown)) return thrown;
  if (!isNativeError(thrown)) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const wrongArgument = thrown instanceof TypeError || thrown instanceof RangeError;
    return weirError(wrongArgument ? 'INVALID_ARGUMENT' : 'INTERNAL', `${name}: ${message}`, { cause: thrown });
  }
  const { op, errno, log } = thrown;
  const [errnoName, text] = errnoFacts(errno);
  const verdict = readVerifierLog(log ?? '');
  const more = thrown.message !== '' && thrown.message !== name ? `: ${thrown.message}` : '';
  const details: KernelErrorDetails = { op, errno, errnoName, name };
  if (verdict) {
    const at = verdict.source ? ` at ${verdict.source}` : '';
    return weirError('KERNEL', `program '${verdict.program}' of ${name} was refused: ${verdict.reason}${at}`, {
      details: { ...details, name: verdict.program, verifierLog: verdict.log },
      cause: thrown,
    });
  }
  const warnings = libbpfWarnings(log ?? '');
  const said = warnings.length > 0 ? ` (${warnings.slice(-3).join('; ')})` : '';
  const why = errno === 0 ? '' : `: ${text} (${errnoName})`;
  return weirError('KERNEL', `${op} of ${name} failed${why}${more}${said}`, {
    ...(FIXES[errnoName] ? { fix: FIXES[errnoName] } : {}),
    details,
    cause: thrown,
  });
};

/** The kernel refused with one of these. */
export const isErrno = (error: unknown, ...names: readonly string[]): boolean =>
  isWeirError(error) && names.includes(String(error.facts.details?.errnoName));

/** Calls the addon; `name` says on what. */
export const attempt = <T>(name: string, call: () => T): T => {
  try {
    return call();
  } catch (error) {
    throw kernelError(error, name);
  }
};

export const attemptAsync = async <T>(name: string, call: () => Promise<T>): Promise<T> => {
  try {
    return await call();
  } catch (error) {
    throw kernelError(error, name);
  }
};
