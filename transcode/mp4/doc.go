// Package mp4 writes, reads and checks progressive MP4 files (ISO/IEC 14496-12)
// without libav and without cgo.
//
// # Writing
//
// [Writer] takes samples in the order a demuxer delivers them and writes a file
// whose moov comes before its mdat in ONE pass over the media: it holds the
// first samples back, extrapolates from them and from [Options.Forecast] how
// large the moov will be, reserves that room as a free box, and puts the moov
// there on Close. Only when the room turns out too small is the media moved up
// inside the file.
//
//	ftyp | moov | free (rest of the reservation) | mdat
//
// Times are ticks of the track's own timescale on the movie's presentation
// line: PTS 0 is the moment the movie starts. The writer turns them into the
// zero-based media line of the file and an edit list (checks 44 and 45 of the
// design's section E): what lies before zero is decoded but not presented, a
// late start is an empty edit.
//
// # Reading and checking
//
// [Read] opens any progressive MP4 and walks its samples with a few kilobytes
// of memory at any length. [Check] holds a file against the numbered checklist
// for progressive MP4 (41 to 47). Both take hostile input: they never panic and
// never allocate what a file merely claims.
//
// # How to add a codec
//
// Give it a row in videoConfigBox (writer) and videoCodecs (reader), with
// the name of its configuration box; if its sync samples can be told from their
// bytes, teach syncInSample in checknal.go to do it.
package mp4
