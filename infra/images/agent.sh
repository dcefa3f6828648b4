#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Entry point of an agent in a container. Docker makes /proc/sys read-only; the agent sets its interfaces there
# (rp_filter, arp_ignore, forwarding ...). The mount belongs to this container alone: the machine's is untouched.
set -eu
if ! mount -o remount,bind,rw /proc/sys; then
	echo 'agent: /proc/sys cannot be made writable' >&2
	echo '  fix: give the container cap_add SYS_ADMIN and security_opt apparmor=unconfined, as infra/compose.yaml does' >&2
	exit 1
fi
exec node --env-file=/keys/secrets.env services/agent/src/main.ts "$@"
