// SPDX-License-Identifier: Apache-2.0
/** Documents of egress gateways as the planner keeps them: read once, refused with the reason. */
import type { ConfigEntry } from '@weir/bus';
import { type Cidr, isIp, parseCidr } from '@weir/net';
import type { EgressGateway } from '@weir/proto/weir/bus/v1/config_pb.js';
import { isSelected, selectorIssues } from './label-selectors.ts';
import type { DocumentError } from './model.ts';

export interface EgressDocument {
  readonly subject: string;
  readonly revision: bigint;
  readonly body: EgressGateway;
  readonly destinations: readonly Cidr[];
  readonly excluded: readonly Cidr[];
}

const cidrs = (field: string, texts: readonly string[], issues: string[]): Cidr[] =>
  texts.flatMap((text) => {
    try {
      return [parseCidr(text, { allowAddress: true })];
    } catch (error) {
      issues.push(`${field}: ${(error as Error).message}`);
      return [];
    }
  });

const hopIssues = ({ gateways }: EgressGateway): string[] =>
  gateways.flatMap(({ hosts, interface: name, egressIp }, i) => [
    ...selectorIssues(`gateways[${i}].hosts`, hosts),
    ...((name === '') === (egressIp === '') ? [`gateways[${i}]: give interface or egress_ip, one of both`] : []),
    ...(egressIp !== '' && !isIp(egressIp) ? [`gateways[${i}].egress_ip "${egressIp}" is not an IP address`] : []),
  ]);

export class EgressDocuments {
  readonly #documents = new Map<string, EgressDocument>();
  readonly #errors = new Map<string, DocumentError>();

  /** What cannot be read leaves what was before it in force, and says so. */
  put({ subject, document: { body, revision } }: ConfigEntry): void {
    if (body.case !== 'egressGateway') return;
    const issues: string[] = [];
    const read = {
      ...{ subject, revision, body: body.value },
      destinations: cidrs('destination_cidrs', body.value.destinationCidrs, issues),
      excluded: cidrs('excluded_cidrs', body.value.excludedCidrs, issues),
    };
    for (const [i, selector] of body.value.workloads.entries()) {
      issues.push(...selectorIssues(`workloads[${i}]`, selector));
      issues.push(...selectorIssues(`workloads[${i}].hosts`, selector.hosts));
    }
    issues.push(...hopIssues(body.value));
    if (body.value.gateways.length === 0) issues.push('gateways: there is none; give one at least');
    this.#errors.delete(subject);
    if (issues.length === 0) this.#documents.set(subject, read);
    else
      this.#errors.set(subject, {
        ...{ subject, revision, code: 'INVALID_ARGUMENT' },
        message: `${subject}: ${issues.join('; ')}`,
      });
  }

  remove(subject: string): void {
    this.#errors.delete(subject);
    this.#documents.delete(subject);
  }

  get isEmpty(): boolean {
    return this.#documents.size === 0;
  }

  errors(): DocumentError[] {
    return [...this.#errors.values()];
  }

  /** Is it of weight on which host a workload is? */
  get mindsHosts(): boolean {
    return [...this.#documents.values()].some(({ body }) => body.workloads.some(({ hosts }) => hosts !== undefined));
  }

  /** Those that mean a workload with these labels on a host with those, by name. */
  selecting(labels: readonly string[], hostLabels: readonly string[]): EgressDocument[] {
    return [...this.#documents.values()]
      .filter(({ body }) =>
        body.workloads.some((selector) => isSelected(selector, labels) && isSelected(selector.hosts, hostLabels)),
      )
      .sort((a, b) => (a.body.name < b.body.name ? -1 : 1));
  }
}
