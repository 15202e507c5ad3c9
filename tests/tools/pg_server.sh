#!/bin/sh
# A PostgreSQL of one's own for a test. `pg_server.sh init DIR` makes it; `pg_server.sh serve DIR
# PORT [--NAME=VALUE...]` becomes the server, which ends with the process that started it, and
# by SIGINT (fast) or SIGQUIT (at once). It listens on 127.0.0.1:PORT and on a socket in DIR.
# Nobody needs a password, but the role `guarded`. DIR is named .../tranche-pg-PID-ANYTHING;
# those of processes that are no more are removed. The first one is kept as a template beside them:
# initdb takes ten times as long as a copy.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -x "$bin/initdb" ] || { echo "no PostgreSQL here: install the package postgresql-15" >&2; exit 1; }
what=$1 dir=$2
shift 2
own="" # it refuses to run as root
if [ "$(id -u)" -eq 0 ]; then
	user=postgres
	id "$user" >/dev/null 2>&1 || user=nobody
	own="--reuid $user --regid $(id -g "$user") --clear-groups"
fi
case $what in
init)
	for old in "$(dirname "$dir")"/tranche-pg-*; do
		pid=${old##*/tranche-pg-}
		[ ! -d "$old" ] || [ -d "/proc/${pid%%-*}" ] || rm -rf "$old"
	done
	mkdir -m 755 "$dir"
	[ -z "$own" ] || chown "$user:" "$dir"
	template=$(dirname "$dir")/tranche-pgdata-$(stat -c %u "$dir")-$(echo "$bin" | cat - "$0" | cksum | cut -d ' ' -f 1)
	cd "$dir"
	if [ -d "$template" ] && [ "$(stat -c %u "$template")" = "$(stat -c %u .)" ]; then
		cp -a "$template" data
		exit 0
	fi
	setpriv $own --pdeathsig KILL "$bin/initdb" -D data -U tranche -A trust -E UTF8 \
		--locale=C.UTF-8 --no-sync --no-instructions >init.log 2>&1 || { cat init.log >&2; exit 1; }
	printf '%s all guarded scram-sha-256\n' local >hba
	printf 'host all guarded 127.0.0.1/32 scram-sha-256\n' >>hba
	cat data/pg_hba.conf >>hba
	cat hba >data/pg_hba.conf
	half=$(dirname "$dir")/tranche-pg-$$-template
	cp -a data "$half" && mv -T "$half" "$template" 2>/dev/null || rm -rf "$half"
	;;
serve)
	port=$1
	shift
	cd "$dir"
	exec setpriv $own --pdeathsig QUIT "$bin/postgres" -D data -p "$port" -k "$dir" -h 127.0.0.1 \
		--shared_buffers=64MB --max_connections=60 --max_wal_size=256MB --fsync=on "$@"
	;;
esac
