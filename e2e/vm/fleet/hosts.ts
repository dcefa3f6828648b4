// SPDX-License-Identifier: Apache-2.0
/** Hosts of the fleet in a guest; known to the control plane on the machine and to the tests in the guest. */
export const GUEST_HOSTS = ['h1', 'h2'];
