#!/usr/bin/env bash
# The players of the browser test, hls.js and Shaka Player: fetched once by npm into the user's cache
# folder, under a name made of the lock file, so that every later clone finds them.
#
#   players.sh         fetch them when they are not there, and print their folder (node_modules)
#   players.sh --path  print their folder, or nothing when they are not there
set -euo pipefail
cd "$(dirname "$0")"
cache=${RUSHES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rushes}
key=$(cat package.json package-lock.json | sha256sum | cut -c 1-12)
folder=$cache/players-$key
modules=$folder/node_modules

if [ -d "$modules" ] || [ "${1:-}" = --path ]; then
  [ ! -d "$modules" ] || echo "$modules"
  exit 0
fi

mkdir -p "$folder"
exec 9>"$folder/fetch.lock"
flock 9
if [ ! -d "$modules" ]; then
  echo "the players of the browser test are being fetched, once, into $folder" >&2
  work=$(mktemp -d "$folder/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp package.json package-lock.json "$work"
  if ! npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund >"$folder/fetch.log" 2>&1; then
    tail -n 20 "$folder/fetch.log" >&2
    exit 1
  fi
  mv "$work/node_modules" "$modules"
fi
echo "$modules"
