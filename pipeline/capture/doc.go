// Package capture opens what a recorder left behind: a folder with one
// capture.json and the raw files that it names (specification: capture.md).
//
// # What it promises
//
// Open reads and checks the manifest, resolves every file it names inside the
// capture and nowhere else, and says what is missing. A manifest that cannot be
// trusted (an unknown version, a path that leaves the capture, times that run
// backwards) is an *InputError that names the field. A file that is missing or
// empty, or a detail that can be done without, is a Defect: whatever can be made
// without it is still made, and the defect travels with the asset.
//
// Nothing in a capture is ever written, and a Capture does not change after
// Open, so it may be used from several goroutines at once.
//
// # Time
//
// The session clock is wall-clock time with its zero at started_at. Timeline maps
// an offset on that clock to the time in an output from which the pauses are cut
// out, and back. Times are time.Time in UTC and time.Duration; seconds as
// floating point numbers exist only inside the JSON text.
//
// # How to add a field to the manifest
//
//  1. Add it to capture.md and to the type it belongs to (manifest.go, track.go,
//     layer.go or outputs.go) with its unit and what it means when it is absent.
//  2. Say in the matching check (check.go, check_track.go, check_outputs.go) what
//     is refused, and what is only a defect.
//  3. If it names a file, add it to Manifest.refs in refs.go: that alone makes it
//     path-checked, looked for, and part of the capture's Key.
//  4. Add a row to the tables of parse_test.go.
//
// # How to add a dump format
//
// Add its name to the Format constants and to formatOfExt in track.go; the reader
// of the format comes beside it in this package. A reader that implements resumer
// (resume.go) can be entered in the middle; one that does not is read from its
// beginning by OpenTrackAt. What changes the units that a reader gives, or the
// state that it is resumed by, raises indexVersion (indexfile.go): workers of two
// versions may share stored indexes.
package capture
