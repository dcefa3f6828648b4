# SPDX-License-Identifier: Apache-2.0
#
# In the guest, with the machine's root in place: runs the command and says how it ended.
G=/run/guest
echo "booted $($G/busybox cut -d' ' -f1 /proc/uptime)" >$G/port.status
/bin/bash $G/command </dev/null >$G/port.stdout 2>$G/port.stderr
echo "exit $?" >$G/port.status
$G/busybox sync
$G/busybox usleep 100000
$G/busybox reboot -f
