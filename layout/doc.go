// Package layout says who is where, when, on the canvas of the legacy composite: geometry and time, and
// nothing else. It is pure: no media, no clock, no I/O. [Build] takes what the request asks for (Options)
// and what happened in the room (Session) and returns a [Plan]: scenes in time order, without gaps or
// overlaps, that cover [0, duration) exactly. The same input gives the same plan, byte for byte, in JSON.
// The rules are those of layouts.md.
//
// All times are in output time: the caller has already cut out what "paused" names.
//
// # How a plan comes about
//
//   - options.go refuses what is outside the limits, naming the field;
//   - session.go turns the session into sorted, clipped stays and tracks; shown.go says when a track has a
//     picture; speaker.go who the active speaker is;
//   - timeline.go lists every change, puts each on the first frame at or after its time, and keeps the
//     moment: what is true at one frame;
//   - a director (director.go) turns each moment into tiles; seats.go remembers who sits where, so that
//     nobody moves without need;
//   - place.go puts a picture of any size into a tile's rectangle. The renderer calls it, as the size of a
//     source may change at any frame.
//
// # How to add a layout
//
//  1. Add its row to layouts.md, a constant to the Name constants in options.go and to LayoutNames.
//  2. Write a method of director that turns a moment into tiles, in a file of its own
//     (spotlight.go is a short example). Take rectangles from geometry.go, so that they are even; take
//     people through a seats field of director when there may be more of them than places.
//  3. Call it in director.arrange.
//  4. Add it to the layouts of build_test.go: the table of exact rectangles, and the properties that hold
//     for every layout (inside the canvas, even, disjoint or layered by design, stable).
//  5. Add a golden plan: go test ./layout -update.
package layout
