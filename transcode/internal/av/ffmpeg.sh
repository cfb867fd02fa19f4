#!/usr/bin/env bash
# Makes FFmpeg 7.1's libraries available to cgo and prints the PKG_CONFIG_PATH that finds them.
#
# A system that has the 7.x development files (Debian 13) uses them, and the path printed is empty.
# Elsewhere (Debian 12 has 5.1) Debian's own signed source package of 7.1 is built once into the
# user's cache folder, under a name made of its version and configuration, so that every later clone
# finds it. Nothing of the system is changed: apt runs with a configuration of its own.
#
#   ffmpeg.sh          build if missing, then print the path (progress goes to standard error)
#   ffmpeg.sh --path   print the path and build nothing; fails when there is none yet
#   ffmpeg.sh --cache  print the cache folder of this project
set -euo pipefail

say() { printf 'ffmpeg: %s\n' "$*" >&2; }
die() { printf 'ffmpeg: error: %s\n' "$*" >&2; exit 1; }
join() { local IFS=,; printf '%s' "$*"; }

suite=trixie
cache=${RUSHES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rushes}
[ "${1:-}" = --cache ] && { echo "$cache"; exit 0; }

# libavcodec 61 is the 7.x line, the one that go-astiav v0.39 binds; it needs all of these. A build of
# ours that PKG_CONFIG_PATH already names is not the system's: its key below decides.
system_path=$(tr ':' '\n' <<<"${PKG_CONFIG_PATH:-}" | grep -vF "$cache/ffmpeg-" | paste -sd: || true)
if [ -z "${RUSHES_FFMPEG_BUILD:-}" ] && PKG_CONFIG_PATH=$system_path pkg-config --exists 'libavcodec >= 61' 'libavcodec < 62' \
  libavdevice libavfilter libavformat libavutil libswresample libswscale 2>/dev/null; then
  echo ""; exit 0
fi

# Only what Rushes uses. No protocol, no network and no playlist demuxer: libav reads and writes
# through Go alone, so no media file can make it open another file or an address.
demuxers=(aac aiff av1 flac flv h264 hevc ivf live_flv matroska mov mp3 mpegts obu ogg wav)
decoders=(aac aac_latm flac h264 hevc libdav1d libopus mp3 mp3float opus pcm_alaw pcm_f32be pcm_f32le
  pcm_mulaw pcm_s16be pcm_s16le pcm_s24be pcm_s24le pcm_s32be pcm_s32le pcm_u8 vorbis vp8 vp9)
parsers=(aac aac_latm av1 flac h264 hevc mpegaudio opus vorbis vp8 vp9)
encoders=(aac flac libopus libvpx_vp8 libvpx_vp9 libx264 pcm_alaw pcm_f32le pcm_mulaw pcm_s16le vorbis)
muxers=(adts flac flv h264 ivf matroska mov mp4 mpegts ogg opus wav webm)
filters=(abuffer abuffersink aformat alimiter amix anull apad aresample atrim buffer buffersink crop format
  fps hflip null pad scale setsar transpose vflip volume)
bsfs=(aac_adtstoasc av1_frame_merge av1_frame_split dump_extra extract_extradata h264_mp4toannexb
  hevc_mp4toannexb null opus_metadata setts vp9_raw_reorder vp9_superframe vp9_superframe_split)
conf=(--disable-everything --disable-autodetect --disable-network --disable-programs --disable-doc
  --disable-debug --enable-gpl --enable-version3 --enable-static --disable-shared --enable-pic
  --enable-libx264 --enable-libopus --enable-libvpx --enable-libdav1d --enable-zlib
  "--enable-demuxer=$(join "${demuxers[@]}")" "--enable-decoder=$(join "${decoders[@]}")"
  "--enable-parser=$(join "${parsers[@]}")" "--enable-encoder=$(join "${encoders[@]}")"
  "--enable-muxer=$(join "${muxers[@]}")" "--enable-filter=$(join "${filters[@]}")"
  "--enable-bsf=$(join "${bsfs[@]}")")

key=$(printf '%s\n' "$suite" "$(uname -m)" "${conf[@]}" | sha256sum | cut -c1-12)
prefix=$cache/ffmpeg-7.1-$key
path=$prefix/lib/pkgconfig
if [ -f "$prefix/complete" ]; then echo "$path"; exit 0; fi
[ "${1:-}" = --path ] && die "not built yet: run 'make setup'"

for tool in nasm pkg-config gcc make dpkg-source apt-get flock; do
  command -v "$tool" >/dev/null || die "'$tool' is missing: run 'make setup' (it names the packages to install)"
done
for lib in x264 opus vpx dav1d zlib; do
  pkg-config --exists "$lib" || die "the development files of $lib are missing: run 'make setup' (it names the packages to install)"
done

mkdir -p "$cache"
exec 9>"$cache/ffmpeg.lock"
flock -n 9 || { say "another build is under way, waiting for it"; flock 9; }
if [ -f "$prefix/complete" ]; then echo "$path"; exit 0; fi

work=$(mktemp -d "$cache/ffmpeg-build.XXXXXX")
pid=
cleanup() {
  if [ -n "$pid" ]; then kill "$pid" && wait "$pid"; fi 2>/dev/null || true
  rm -rf "$work" 2>/dev/null || { sleep 2; rm -rf "$work"; }   # compilers end a moment after make
}
trap cleanup EXIT
log=$cache/ffmpeg-build.log
: >"$log"
run() { "$@" >>"$log" 2>&1 9>&- || { tail -n 15 "$log" >&2; die "'$1' failed; the whole log is $log"; }; }

say "fetching the source package (Debian $suite)"
apt=$work/apt
mkdir -p "$apt"/{sources.d,lists/partial,cache/archives/partial,state}
site=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null | awk '$2 !~ /security|updates|backports/ && $1 ~ /\/debian\/?$/ {print $1; exit}')
[ -n "$site" ] || die "apt knows no Debian mirror on this system (apt-get update, then again; other systems: install FFmpeg 7.x development files)"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || die "$keyring is missing: install debian-archive-keyring"
printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$site" "$suite" "$keyring" >"$apt/sources.d/source.sources"
chmod -R a+rX "$work"
aptopts=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$apt/sources.d" -o "Dir::State::lists=$apt/lists"
  -o "Dir::State=$apt/state" -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=$(id -un)" -o "Acquire::Languages=none")
run apt-get "${aptopts[@]}" update
(cd "$work" && run apt-get "${aptopts[@]}" source --download-only ffmpeg)
dsc=$(find "$work" -maxdepth 1 -name 'ffmpeg_7.1*.dsc' | head -n 1)
[ -n "$dsc" ] || die "Debian $suite gave no FFmpeg 7.1 source package; see $log"
run dpkg-source --no-check -x "$dsc" "$work/src"   # apt has checked the signatures

say "configuring"
(cd "$work/src" && run ./configure --prefix="$prefix" "${conf[@]}")
total=$(make -C "$work/src" -n 2>/dev/null 9>&- | grep -cE '(^|; )(printf "(CC|X86ASM)|gcc .*-c |nasm )' || true)
say "compiling, some minutes"
make -C "$work/src" -j"$(nproc)" >>"$log" 2>&1 9>&- &
pid=$!
while kill -0 "$pid" 2>/dev/null; do
  sleep 5
  done_=$(find "$work/src" -name '*.o' | wc -l)
  printf '\rffmpeg: %s of about %s files compiled' "$done_" "${total:-1000}" >&2
done
printf '\n' >&2
made=$pid
pid=
wait "$made" || { tail -n 15 "$log" >&2; die "the build failed; the whole log is $log"; }
rm -rf "$prefix"
run make -C "$work/src" install

# go-astiav asks pkg-config for the shared flags; these libraries are static, so what they need
# themselves has to be among them.
for pc in "$path"/*.pc; do
  awk -F': *' '
    $1 == "Requires" {req = $2; next}   $1 == "Requires.private" {reqp = $2; next}
    $1 == "Libs" {libs = $2; next}      $1 == "Libs.private" {libsp = $2; next}
    {print}
    END {
      sep = (req != "" && reqp != "") ? ", " : ""
      print "Requires: " req sep reqp
      print "Libs: " libs " " libsp
    }' "$pc" >"$pc.new"
  mv "$pc.new" "$pc"
done
PKG_CONFIG_PATH=$path pkg-config --exists libavcodec libavformat libavfilter libswscale libswresample libavdevice || die "the installed libraries are incomplete; see $log"
touch "$prefix/complete"
say "done: $prefix"
echo "$path"
