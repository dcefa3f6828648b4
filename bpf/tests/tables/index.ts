// SPDX-License-Identifier: Apache-2.0
import type { Case } from '../lib/scenario.ts';
import { answers, answersLeaving } from './answers.ts';
import { bandwidth } from './bandwidth.ts';
import { conntrack } from './conntrack.ts';
import { egress } from './egress.ts';
import { guard } from './guard.ts';
import { internet } from './ip.ts';
import { link } from './link.ts';
import { local } from './local.ts';
import { masquerade } from './masquerade.ts';
import { natErrors } from './nat-errors.ts';
import { nat64 } from './nat64.ts';
import { nat64Errors } from './nat64-errors.ts';
import { overlay } from './overlay.ts';
import { policy } from './policy.ts';
import { related } from './related.ts';
import { strict } from './strict.ts';
import { transport } from './transport.ts';
import { uplink } from './uplink.ts';
import { views } from './views.ts';

export const TABLES: Readonly<Record<string, readonly Case[]>> = {
  link,
  internet,
  transport,
  policy,
  answers,
  views,
  conntrack,
  related,
  local,
  uplink,
  masquerade: [...masquerade, ...answersLeaving],
  bandwidth,
  natErrors,
  nat64,
  nat64Errors,
  overlay,
  egress,
  strict,
  guard,
};
