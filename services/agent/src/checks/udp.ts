// SPDX-License-Identifier: Apache-2.0
/**
 * A datagram. With something expected, an answer must begin with it; without, only an ICMP port unreachable says that nobody
 * is there, and silence is as good as an answer.
 */
import { createSocket } from 'node:dgram';
import type { HealthCheck } from '@weir/proto/weir/bus/v1/config_pb.js';
import { failed, failedBy, noAnswer, OK, type Outcome, type Place } from './outcome.ts';

export const probeUdp = ({ address, port, timeoutMs }: Place, { send, expect }: HealthCheck): Promise<Outcome> =>
  new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.close();
      resolve(outcome);
    };
    const silence = (): Outcome => (expect.length === 0 ? OK : noAnswer(timeoutMs));
    const timer = setTimeout(() => end(silence()), timeoutMs);
    socket.on('error', (error) => end(failedBy(error)));
    socket.on('message', (answer) => {
      const fits = answer.subarray(0, expect.length).equals(expect);
      end(fits ? OK : failed('the answer does not begin with what is expected', true));
    });
    socket.connect(port, address, () => {
      socket.send(send, (error) => {
        if (error) end(failedBy(error));
      });
    });
  });
