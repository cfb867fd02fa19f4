//go:build !race

package child

// raceDetector says that the race detector is compiled in. Its shadow memory is
// counted as data, many times the program's own.
const raceDetector = false
