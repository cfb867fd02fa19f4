// Package transcode is the only door to libav: it probes and scans recordings, makes progressive MP4 of
// them, grabs stills, and decodes or encodes raw pictures and sound for those who measure.
//
// A recording goes through three steps. The demuxer gives packets in the order of the file; the clock
// (clock.go) puts each of them on one output time line, in nanoseconds from its beginning, with jumps
// mended and pauses cut; a lane per output track copies or re-encodes them and hands samples to the MP4
// writer. A lane that finds that it cannot copy says so (needsEncoding), and the whole is begun again with
// that lane encoding: reading everything twice to know beforehand would cost every recording what only few need.
//
// How to add a format: if libav demuxes it, add the demuxer to internal/av/ffmpeg.sh and its name to
// formats in internal/av/input.go; a video codec to be copied needs a copier beside copyvideo.go, one to be
// decoded only its decoder in ffmpeg.sh. Then a case in the table of convert_test.go.
package transcode
