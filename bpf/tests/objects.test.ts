// SPDX-License-Identifier: Apache-2.0
/**
 * This kernel's verifier takes every object: those that packets.test.ts opens too, and here the others. In a guest this says so
 * of the oldest kernel, where no other test of every run opens them.
 */
import { describe, test } from 'node:test';
import { openObject } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { OBJECT_NAMES, objectPath } from '../objects.ts';

const ELSEWHERE = ['workload', 'host', 'nat64'];

describe('objects', { skip: needKernel() }, () => {
  for (const name of OBJECT_NAMES.filter((one) => !ELSEWHERE.includes(one)))
    test(`${name} is taken by the verifier`, async () => {
      (await openObject(objectPath(name))).close();
    });
});
