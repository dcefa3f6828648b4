// SPDX-License-Identifier: Apache-2.0
/** The policy engine alone: what it compiles, judged at both ends. */
import { weirError } from '@weir/errors';
import { refusal } from './admission.ts';
import type { Action, Mode, Session, World } from './mode.ts';
import { createView, type View } from './view.ts';
import { apply, createState } from './world.ts';

const open = async (world: World): Promise<Session> => {
  const state = createState(world);
  let view: View = createView(state);
  return {
    act: async (actions: readonly Action[]) => {
      for (const action of actions) {
        const problem = apply(state, action);
        if (problem) throw weirError('CONFLICT', problem, { field: action.do });
      }
      if (actions.length > 0) view = createView(state);
    },
    refused: async (policy) => refusal(policy),
    ask: async (cells) => cells.map((cell) => view.verdict(cell)),
    explain: () => '',
    close: async () => {},
  };
};

export const createEngineMode = (): Mode => ({
  name: 'engine',
  skips: () => undefined,
  open,
  close: async () => {},
});
