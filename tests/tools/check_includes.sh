#!/bin/sh
# Fails when a file includes something above it, or a third-party header outside its place.
set -eu
cd "${1:-.}"
bad=0
deny() { # deny <files-glob> <regex> <why>
	hits=$(grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]+[\"<]$2" $1 2>/dev/null || true)
	[ -z "$hits" ] || { printf '%s\n  -> %s\n' "$hits" "$3"; bad=1; }
}
only() { # only <regex> <allowed files, space separated> <why>
	for f in $(grep -rlE "^[[:space:]]*#[[:space:]]*include[[:space:]]+[\"<]$1" common proto coordinator worker 2>/dev/null || true); do
		case " $2 " in *" $f "*) ;; *) echo "$f includes $1 -> $3"; bad=1;; esac
	done
}
deny "common/*.[ch]"      "(proto|coordinator|worker)/" "common knows nothing above it"
deny "proto/*.[ch]"       "(coordinator|worker)/"       "proto knows only common"
deny "worker/*.[ch]"      "coordinator/"                "the two programs meet only in proto/"
deny "coordinator/*.[ch]" "worker/"                     "the two programs meet only in proto/"
only "zmq\.h"     "proto/link_impl.h proto/zap.c proto/keys.c proto/zmq_lib.c" "only the link and its keys know ZeroMQ"
only "sodium\.h"  "proto/file_set.c proto/keys.c proto/gate.c proto/lease.c coordinator/app_secret.c" "only keys, leases and digests of files know libsodium"
only "msgpack"    "proto/msg.c proto/spec_codec.h"           "only the codecs know msgpack"
only "xxhash\.h"  "common/hash_simd.h"                   "only hash knows xxHash"
only "yaml\.h"    "common/value.c"                       "only value knows libyaml"
only "pcre2\.h"  "common/pattern.c"                     "only pattern knows PCRE2"
only "yajl"     "common/json_line.c"                   "only json_line knows yajl"
only "zlib\.h"    "coordinator/source_stream.c"           "only the stream knows zlib"
only "zstd\.h"    "coordinator/source_stream.c proto/pack.c" "only the stream and packed payloads know zstd"
only "libpq-fe\.h" "common/pg.h common/pg_lib.c"      "only pg, and the files of postgres that include it, know libpq"
only "lapacke?\.h" "worker/forecast_model.c"           "only the forecast's model knows LAPACK"
only "curl"     "worker/curl_lib.h"                    "only what loads libcurl knows it"
only "microhttpd\.h" "coordinator/web_lib.h"              "only what loads libmicrohttpd knows it"
only "sqlite3\.h" "coordinator/web_view_impl.h worker/xf_exec_jsonl.c coordinator/warehouse_sqlite.c coordinator/page_memory.c coordinator/journal.c coordinator/journal_db.c coordinator/backlog.c coordinator/journal_crew.c coordinator/source_sqlite.h coordinator/journal_runs.c coordinator/journal_live.c coordinator/journal_stats.c coordinator/past_impl.h coordinator/journal_plan.c coordinator/journal_charts.c coordinator/journal_prune.c coordinator/pipeline_facts.c coordinator/pipeline_past.c coordinator/scheduled_past.c common/row_step.h common/sqlite_view.h common/sql_guard.c common/sql_guard.h common/sql_distinct.h common/sql_functions.c common/sql_functions.h worker/xf_sql.h proto/spec_sql.h coordinator/ledger.c coordinator/warehouse_sqlite.h" "only the files whose job it is know SQLite"
exit $bad
