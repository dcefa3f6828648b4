// SPDX-License-Identifier: Apache-2.0
/** Who speaks under the policy that the rows after the matrix share: a client on the other host may, a stranger may not. */
import { callApi } from '@weir/infra/api';
import type { Fleet, Workload } from '@weir/infra/fleet';

/** An emulated machine that has neighbours. */
export const PATIENT_MS = 300_000;
/** Silence this long is a refusal; an answer takes a tenth of it. */
export const REFUSED_MS = 1_500;

export const ALLOWED_PORT = 5060;
export const OTHER_PORT = 5061;

export const POLICY = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: prod }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [ { podSelector: { matchLabels: { app: client } } } ]
      ports: [ { port: 80 }, { port: ${ALLOWED_PORT}, protocol: SCTP } ]
`;

export interface Scene {
  readonly fleet: Fleet;
  readonly web: Workload;
  /** Another host's. */
  readonly client: Workload;
  readonly stranger: Workload;
}

/** Resolves when every host has realised it. */
export const applyPolicy = async ({ fleet }: Scene): Promise<void> => {
  const raw = { type: 'application/yaml', text: POLICY };
  const { revision } = await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, { raw });
  await fleet.waitRealised(revision, PATIENT_MS);
};
