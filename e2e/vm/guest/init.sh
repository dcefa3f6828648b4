#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
#
# First process of a guest: makes the machine's root the guest's root, with a tmpfs over it, and hands over to run.sh.
# Says what fails on the console and ends the guest.
B=/bin/busybox
export PATH=/bin
fail() {
	echo "guest: $1"
	$B reboot -f
}
p9=trans=virtio,version=9p2000.L,msize=512000

$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev 2>/dev/null
while read -r module; do $B insmod "/mods/$module" || echo "guest: module $module was refused"; done </mods/order

$B mount -t 9p -o $p9,ro,cache=loose root /lower || fail 'the root of the machine cannot be mounted'
$B mount -t tmpfs -o mode=755 upper /upper
$B mkdir -p /upper/files /upper/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root ||
	fail 'no overlay over the root'

R=/root
# Programs leave much in /tmp: fresh, and in memory; the folder to run in stays visible when it is below.
cwd=$($B cat /guest/cwd)
$B mkdir /cwd
$B mount --bind "$R$cwd" /cwd || fail "$cwd is not there"
$B mount -t tmpfs -o mode=1777 tmp $R/tmp
$B mkdir -p "$R$cwd"
$B mount --move /cwd "$R$cwd"

$B mount -t proc proc $R/proc
$B mount -t sysfs sysfs $R/sys
$B mount --move /dev $R/dev
$B mkdir -p $R/dev/pts $R/dev/shm
$B mount -t devpts devpts $R/dev/pts
$B mount -t tmpfs shm $R/dev/shm
$B mount -t tmpfs run $R/run
$B mount -t cgroup2 cgroup2 $R/sys/fs/cgroup
$B mount -t bpf bpf $R/sys/fs/bpf
$B mount -t tracefs tracefs $R/sys/kernel/tracing
$B mount -t debugfs debugfs $R/sys/kernel/debug
$B mount -t securityfs securityfs $R/sys/kernel/security

modules=$R/lib/modules/$($B uname -r)
$B mkdir -p "$modules"
$B mount -t 9p -o $p9,ro,cache=loose modules "$modules" || fail 'the modules cannot be mounted'
if [ -e /guest/share ]; then
	share=$R$($B cat /guest/share)
	$B mkdir -p "$share"
	$B mount -t 9p -o $p9,cache=none share "$share" || fail 'the shared folder cannot be mounted'
fi

$B mkdir -p $R/run/guest
$B cp /bin/busybox /guest/* $R/run/guest/
for port in "$R"/sys/class/virtio-ports/*; do
	[ -e "$port/name" ] && $B ln -s "/dev/${port##*/}" "$R/run/guest/port.$($B cat "$port/name")"
done
$B hostname guest
$B ifconfig lo up
# QEMU's own network: the machine's loopback is 10.0.2.2 there
[ -e /sys/class/net/eth0 ] && $B ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
exec $B switch_root $R /run/guest/busybox sh /run/guest/run.sh
