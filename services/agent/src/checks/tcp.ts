// SPDX-License-Identifier: Apache-2.0
/** A TCP connection that is made and closed. */
import { connect } from 'node:net';
import { failedBy, noAnswer, OK, type Outcome, type Place } from './outcome.ts';

export const probeTcp = ({ address, port, timeoutMs }: Place): Promise<Outcome> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => end(noAnswer(timeoutMs)), timeoutMs);
    socket.once('connect', () => end(OK));
    socket.on('error', (error) => end(failedBy(error)));
  });
