// SPDX-License-Identifier: Apache-2.0
/**
 * S21: nobody locks himself out. A host is shut altogether, and keeps its failsafe ports and the bus; a change that comes with
 * the network gone is undone by the agent alone, killed meanwhile or not; who is on the host can open it without anybody.
 */
import type { TestContext } from 'node:test';
import { callApi } from '@weir/infra/api';
import { type External, type Fleet, PATIENT_TIMEOUT_MS, type Station, until } from '@weir/infra/fleet';
import { hostStates, putPolicy } from '../../faults/fleet/policy.ts';
import { agentHostFirewall, askHostFirewall } from '../../lib/agent-api.ts';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';

export const S21_HOST = 'h1';
export const CONFIRM_S = isLong ? 60 : 20;
const WAIT_MS = (CONFIRM_S + 60) * 1000;
/** Of it the row allows 5 s more than the window. */
const SLACK_S = 5;
const SSH = 22;
const WEB = 8080;
const OTHER = 9090;
const DATAGRAMS = 5000;
const SILENCE_MS = 400;
const FAMILIES = ['ip4', 'ip6'] as const;

const hostPolicy = (...ports: readonly number[]) => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumClusterwideNetworkPolicy',
  metadata: { name: 'hosts' },
  spec: {
    nodeSelector: {},
    ingress: [
      ports.length === 0
        ? { fromEntities: ['none'] }
        : {
            fromEntities: ['world'],
            toPorts: [{ ports: ports.map((port) => ({ port: `${port}`, protocol: 'TCP' })) }],
          },
    ],
    egress: [{ toEntities: ['none'] }],
  },
});

export const lockOut = async (t: TestContext, fleet: Fleet, outside: External): Promise<void> => {
  const agent = fleet.agents.get(S21_HOST);
  if (!agent) throw new Error(`there is no agent of ${S21_HOST}`);
  const inside: Station = await fleet.hostStation(S21_HOST);
  await inside.listen({ tcp: [SSH, WEB, OTHER], udp: [DATAGRAMS] });
  const own = fleet.host(S21_HOST);
  type Question = { readonly protocol: 'tcp' | 'udp' | 'icmp'; readonly port?: number };
  const asks = async (question: Question, timeoutMs: number, family: 'ip4' | 'ip6') =>
    (await outside.probe({ ...question, host: own[family], timeoutMs })).ok;
  const open = async (question: Question) =>
    (await Promise.all(FAMILIES.map((family) => asks(question, PATIENT_TIMEOUT_MS, family)))).every(Boolean);
  const shut = async (question: Question) =>
    !(await Promise.all(FAMILIES.map((family) => asks(question, SILENCE_MS, family)))).some(Boolean);
  const asksOut = async (timeoutMs: number) =>
    (await inside.probe({ protocol: 'tcp', host: outside.ip4 as string, port: 80, timeoutMs })).ok;
  const becomes = (what: string, question: Question, isOpen: boolean) =>
    until(what, WAIT_MS, async () => (await asks(question, SILENCE_MS, 'ip4')) === isOpen);
  const state = (wanted: string) =>
    until(`the host firewall to be ${wanted}`, WAIT_MS, async () => (await agentHostFirewall(agent)).state === wanted);
  const web: Question = { protocol: 'tcp', port: WEB };
  const ssh: Question = { protocol: 'tcp', port: SSH };

  const before =
    (await open(web)) && (await open({ protocol: 'udp', port: DATAGRAMS })) && (await open({ protocol: 'icmp' }));

  // Shut altogether.
  await fleet.waitRealised(await putPolicy(fleet, hostPolicy()), WAIT_MS);
  await state('confirmed');
  const shutAll =
    (await shut(web)) &&
    (await shut({ protocol: 'udp', port: DATAGRAMS })) &&
    (await shut({ protocol: 'icmp' })) &&
    !(await asksOut(SILENCE_MS));
  const kept = await open(ssh);

  // Without its agent, and with the next one.
  await agent.process.stop('SIGKILL');
  const dead = (await shut(web)) && (await open(ssh));
  await agent.start();
  await state('confirmed');
  const again = (await shut(web)) && (await open(ssh));

  // A change that the agent hears, and after which nobody hears of it; the agent may be killed meanwhile.
  const goesWrong = async (port: number, isKilled: boolean) => {
    const question: Question = { protocol: 'tcp', port };
    fleet.cut(S21_HOST, 'out');
    const revision = await putPolicy(fleet, hostPolicy(port));
    await state('pending');
    const pendingAt = performance.now();
    const wasOpen = await open(question);
    if (isKilled) {
      await agent.process.stop('SIGKILL');
      await agent.start();
    }
    await state('undone');
    const undoneS = (performance.now() - pendingAt) / 1000;
    await becomes('the change to be out of force', question, false);
    const isAsBefore = (await shut(question)) && (await open(ssh));
    const act = (await agentHostFirewall(agent)).history.at(-1);
    fleet.heal(S21_HOST);
    const told = async () => (await hostStates(fleet, revision, 1)).find(({ host }) => host === S21_HOST);
    await until('the API to know', WAIT_MS, async () => (await told())?.state === 'failed');
    return { wasOpen, undoneS, isAsBefore, act, error: (await told())?.error ?? '' };
  };
  const wrongs = [];
  for (const [port, isKilled] of size<readonly (readonly [number, boolean])[]>({
    short: [[WEB, true]],
    long: [
      [WEB, false],
      [OTHER, true],
    ],
  }))
    wrongs.push({ isKilled, ...(await goesWrong(port, isKilled)) });
  const inTime = wrongs.every(({ isKilled, undoneS }) => isKilled || undoneS <= CONFIRM_S + SLACK_S);

  // By hand, on the host.
  await askHostFirewall(agent, 'open?seconds=600&why=a+test');
  await becomes('the host to be open', web, true);
  await askHostFirewall(agent, 'close');
  await becomes('the host to be shut again', web, false);
  const record = async (): Promise<string[]> => {
    const url = `${fleet.control.urls.inventory}/v1/host-firewall-events?host=${S21_HOST}`;
    const { items } = (await callApi(url)) as { items: { act: string; by: string }[] };
    return items.map(({ act, by }) => `${act} by ${by}`);
  };
  await until('the fleet to have it on record', WAIT_MS, async () => (await record()).includes('closed by operator'));
  const recorded = await record();
  const acts = (await agentHostFirewall(agent)).history.map(({ act, by }) => `${act} by ${by}`);

  // A change that is good, and the end of it all.
  await putPolicy(fleet, hostPolicy(WEB, OTHER));
  await state('confirmed');
  const changed = await open(web);
  await callApi(`${fleet.control.urls.policy}/v1/policies/CiliumClusterwideNetworkPolicy/-/hosts`, {
    method: 'DELETE',
  });
  await state('none');
  await becomes('datagrams to be answered again', { protocol: 'udp', port: DATAGRAMS }, true);

  report(
    t,
    'S21',
    { confirm_s: CONFIRM_S, undone_s: wrongs.map(({ undoneS }) => undoneS.toFixed(1)).join(), acts: acts.length },
    [
      ['open before', before],
      ['shut: TCP, UDP, ICMP, in and out', shutAll],
      ['SSH stays', kept],
      ['a dead agent changes nothing, nor does its successor', dead && again],
      ['what is not confirmed was in force', wrongs.every(({ wasOpen }) => wasOpen)],
      [
        `undone by the agent alone within ${CONFIRM_S + SLACK_S} s, killed meanwhile or not (${wrongs[0]?.act?.why})`,
        wrongs.every(({ act, isAsBefore }) => act?.act === 'undone' && act.by === 'agent' && isAsBefore) && inTime,
      ],
      [`the API says so (${wrongs[0]?.error})`, wrongs.every(({ error }) => /undone/.test(error))],
      ['opened and closed by hand, and that is on record', acts.includes('opened by operator')],
      [
        'with the fleet too, with what was undone while it heard nothing',
        ['opened by operator', 'undone by agent'].every((act) => recorded.includes(act)),
      ],
      ['a change that is confirmed stays', changed],
    ],
  );
};
