// SPDX-License-Identifier: Apache-2.0
/** Whose a frontend is that several services claim: the lowest number's, and for the inside a local redirect's, which lies over. */
import { weir_service_flags as FLAG } from '@weir/bpf';
import type { PlannedFrontend } from './service-view.ts';

const isRedirect = ({ value }: PlannedFrontend): boolean => (value.flags & FLAG.SERVICE_LOCAL_REDIRECT) !== 0;

const before = (a: PlannedFrontend, b: PlannedFrontend): boolean =>
  isRedirect(a) === isRedirect(b) ? a.value.service < b.value.service : isRedirect(a) === a.key.internal;

/** What a redirect lies over is for the outside, and for whom the redirect leaves out. */
const beneath = (frontend: PlannedFrontend): PlannedFrontend => ({
  ...frontend,
  value: { ...frontend.value, flags: frontend.value.flags | FLAG.SERVICE_TWO_SCOPES },
});

/** `claims`: of one key. */
export const winnerOf = (claims: readonly PlannedFrontend[]): PlannedFrontend | undefined => {
  const [first, ...others] = claims;
  if (first === undefined) return undefined;
  const winner = others.reduce((best, one) => (before(one, best) ? one : best), first);
  return !isRedirect(winner) && claims.some(isRedirect) ? beneath(winner) : winner;
};
