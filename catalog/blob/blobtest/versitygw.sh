#!/usr/bin/env bash
# versitygw, the real S3 server that tests run against: built once, with the Go toolchain, into the
# user's cache folder, under a name made of its version, so that every later clone finds it. It takes
# some minutes the first time; several callers wait for one build.
#
#   versitygw.sh         build it when it is not there, and print the path of the program
#   versitygw.sh --path  print the path of the program, or nothing when it is not built
set -euo pipefail
version=v1.8.0
cache=${RUSHES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rushes}
folder=$cache/versitygw-$version
program=$folder/versitygw

if [ -x "$program" ] || [ "${1:-}" = --path ]; then
  [ ! -x "$program" ] || echo "$program"
  exit 0
fi

mkdir -p "$folder"
exec 9>"$folder/build.lock"
flock 9
if [ ! -x "$program" ]; then
  echo "versitygw $version is being built, once, in $folder" >&2
  work=$(mktemp -d "$folder/build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # Outside of any module: the caller's go.mod must not have a say in it.
  if ! (cd "$work" && GOBIN="$work" GOFLAGS=-mod=mod nice go install "github.com/versity/versitygw/cmd/versitygw@$version" >"$folder/build.log" 2>&1); then
    tail -n 20 "$folder/build.log" >&2
    exit 1
  fi
  mv "$work/versitygw" "$program"
fi
echo "$program"
