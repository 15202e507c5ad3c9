#!/usr/bin/env bash
# run.sh - docker-compose.yml with a real engine, end to end. As root, on Debian 12.
#
# The engine is Debian's docker.io in mount, process and network namespaces of its own, with
# slirp4netns as its way out: no bridge, firewall rule or service of this machine is touched, and
# everything it started ends with it. The base image is a debootstrap of bookworm, kept as
# build/compose-base.tar. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin # Debian's docker, not one that stands before it
[ "$(id -u)" -eq 0 ] || { echo "run.sh: an engine of our own needs root"; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/tranche-compose-XXXXXX") || exit 1
group=tranche-${work##*-}
engine='' slirp=''
export DOCKER_HOST=unix://$work/sock COMPOSE_PROJECT_NAME=demo TRANCHE_BASE=tranche-base

fail() { echo "run.sh: $1"; [ ! -s "$work/log" ] || tail -20 "$work/log"; exit 1; }

within() { # within SECONDS COMMAND...: waits until it is true
	local end=$((SECONDS + $1)); shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

inside() { pgrep -P "$engine"; } # process 1 of the engine's namespaces

gone() { ! kill -0 "$1" 2>/dev/null; }

engine_stop() {
	if [ -n "$engine" ]; then
		kill -TERM $(inside) 2>/dev/null
		within 20 gone "$engine" || { kill -KILL "$engine"; within 10 gone "$engine"; }
	fi
	[ -z "$slirp" ] || kill -TERM "$slirp" 2>/dev/null
	find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} \; 2>/dev/null
	rm -rf "$work"
}
trap engine_stop EXIT
trap 'exit 130' INT TERM

engine_start() {
	mkdir -p /run/docker /run/containerd
	unshare --mount --net --pid --fork --kill-child --mount-proc sh -c '
		mount -t tmpfs tmpfs /run/docker && mount -t tmpfs tmpfs /run/containerd || exit 1
		exec dockerd --data-root "$1/data" --exec-root /run/docker --pidfile "$1/pid" \
			--host "unix://$1/sock" --cgroup-parent "/$2"' sh "$work" "$group" >"$work/log" 2>&1 &
	engine=$!
	within 10 inside || fail "the engine did not start"
	slirp4netns --configure --mtu=1500 --disable-host-loopback "$(inside)" tap0 >"$work/slirp" 2>&1 &
	slirp=$!
	within 60 docker info || fail "the engine does not answer"
	gone "$slirp" && { cat "$work/slirp"; fail "the engine has no network"; }
}

base_image() {
	local tar=build/compose-base.tar root=$work/base
	if [ ! -s "$tar" ]; then
		mkdir -p build
		echo "debootstrap bookworm ..."
		unshare --mount debootstrap --variant=minbase bookworm "$root" \
			http://deb.debian.org/debian >"$work/log.base" 2>&1 || { tail -5 "$work/log.base"; fail "debootstrap"; }
		echo "deb http://deb.debian.org/debian-security bookworm-security main" >>"$root/etc/apt/sources.list"
		rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale,info}/*
		tar -C "$root" -cf "$tar.new" . && mv "$tar.new" "$tar" || fail "cannot write $tar"
		rm -rf "$root"
	fi
	docker import "$tar" "$TRANCHE_BASE" >/dev/null || fail "docker import $tar"
}

engine_start
base_image
python3 tests/compose/demo.py "$@"
