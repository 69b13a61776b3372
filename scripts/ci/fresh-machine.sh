#!/usr/bin/env bash
# Runs the README's commands as on a machine that has nothing but Node, npm and coreutils: a clean clone, a PATH of their
# own. `tests`: its test command as well, as an ordinary user with npm 10. `demos`: the other commands
# as root (when this is root) and as an ordinary user, with npm 10 and with the npm at hand.
set -eu
what=$1
repository=$(git rev-parse --show-toplevel)
work=$(mktemp -d "${TMPDIR:-/tmp}/slidecar-fresh-XXXXXX")
user=slidecar-fresh
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# A PATH with node, one npm, a shell and coreutils only.
make_path() {
  local folder=$1 npm_cli=$2 program
  mkdir -p "$folder"
  for program in sh env cat chmod chown cp cut date dirname basename echo head id kill ln ls mkdir mktemp mv nice nohup od \
    printf pwd readlink realpath rm rmdir seq sleep sort stat stdbuf tail tee test timeout touch tr true uname wc whoami; do
    local found
    found=$(command -v "$program" || true)
    case "$found" in /*) ln -sf "$found" "$folder/$program" ;; esac
  done
  ln -sf "$(readlink -f "$(command -v node)")" "$folder/node"
  printf '#!/bin/sh\nexec node "%s" "$@"\n' "$npm_cli" >"$folder/npm"
  chmod 755 "$folder/npm"
}

npm install --silent --no-save --prefix "$work/npm10" npm@10.9.8 >/dev/null
npm_at_hand=$(readlink -f "$(command -v npm)")
make_path "$work/path10" "$work/npm10/node_modules/npm/bin/npm-cli.js"
make_path "$work/path-at-hand" "$npm_at_hand"

# What one download brought the others need not fetch again; npm checks each package against the lock file's hash.
cache="$work/npm-cache"
mkdir "$cache"

as_user() {
  local who=$1 path=$2 folder=$3
  shift 3
  if [ "$who" = root ] || [ "$(id -u)" -ne 0 ]; then
    (cd "$folder" && env -i HOME="$folder/.home" PATH="$path" CI=true TMPDIR=/tmp "$@")
  else
    (cd "$folder" && env -i HOME="$folder/.home" PATH="$path" CI=true TMPDIR=/tmp \
      "$(command -v setpriv)" --reuid "$user" --regid "$user" --clear-groups "$@")
  fi
}

ordinary=$(id -un)
users=$ordinary
if [ "$(id -u)" -eq 0 ]; then
  id "$user" >/dev/null 2>&1 || useradd --system --shell /bin/sh --home-dir "$work" "$user"
  ordinary=$user
  users="root $user"
fi

# try NAME USER PATH TESTS: clone, npm ci, demo; with TESTS also npm test.
try() {
  local name=$1 who=$2 path=$3 tests=$4 folder="$work/$1"
  printf -- '--- %s\n' "$name"
  git clone --quiet "$repository" "$folder"
  mkdir "$folder/.home"
  if [ "$who" = "$user" ]; then chown -R "$user:$user" "$folder" "$cache"; fi
  as_user "$who" "$path" "$folder" npm ci --no-audit --no-fund --cache "$cache" >"$folder/.home/ci.log" 2>&1 || {
    tail -40 "$folder/.home/ci.log"
    return 1
  }
  as_user "$who" "$path" "$folder" node scripts/ci/try-demo.mjs
  if [ "$tests" = yes ]; then
    as_user "$who" "$path" "$folder" npm test || return 1
  fi
  rm -rf "$folder"
}

if [ "$what" = tests ]; then
  try "tests-$ordinary" "$ordinary" "$work/path10" yes
  exit
fi
for who in $users; do
  [ "$who" = "$ordinary" ] || try "npm10-$who" "$who" "$work/path10" no
  try "npm-at-hand-$who" "$who" "$work/path-at-hand" no
done
