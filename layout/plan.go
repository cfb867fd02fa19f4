package layout

import (
	"slices"
	"sort"
	"time"
)

// MaxScenes bounds a plan. A session with more changes gets a coarser Step, so that its plan has no more.
const MaxScenes = 20_000

// Plan says what the canvas shows from the first frame to the last. It is a value: nothing in this package
// changes it after Build.
type Plan struct {
	// Canvas is the picture, with the defaults filled in.
	Canvas Canvas `json:"canvas"`
	// Layout is the layout that was asked for; each scene says what Auto became.
	Layout Name `json:"layout"`
	// Duration of the output in nanoseconds.
	Duration time.Duration `json:"duration_ns"`
	// Frames is how many frames the output has: those k with k/fps before Duration.
	Frames int64 `json:"frames"`
	// Step is the number of frames between two possible changes. It is 1, which makes every change exact,
	// unless the session has more than MaxScenes changes: a defect worth writing down.
	Step int64 `json:"step"`
	// Scenes cover [0, Duration) and all frames, in time order, without gaps or overlaps. Neighbours differ.
	Scenes []Scene `json:"scenes"`
}

// Scene is a stretch in which nothing on the canvas changes its place or kind.
type Scene struct {
	// From is when it begins: the time of FirstFrame in nanoseconds, rounded down.
	From time.Duration `json:"from_ns"`
	// To is when it ends: From of the next scene, or the plan's Duration.
	To time.Duration `json:"to_ns"`
	// FirstFrame is the number of its first frame, counted from 0.
	FirstFrame int64 `json:"first_frame"`
	// EndFrame is the number of the first frame that is not in it any more.
	EndFrame int64 `json:"end_frame"`
	// Layout is the layout that made it; never Auto.
	Layout Name `json:"layout"`
	// Tiles are what is to be drawn on the background, in this order: the lowest first.
	Tiles []Tile `json:"tiles"`
}

// TileKind says what a tile shows.
type TileKind string

// The kinds of tiles.
const (
	// TileCamera shows the newest picture of TrackID at its frame.
	TileCamera TileKind = "camera"
	// TileScreen shows a shared screen: TrackID, likewise.
	TileScreen TileKind = "screen"
	// TileAvatar shows Initials on AvatarColour(PeerID).
	TileAvatar TileKind = "avatar"
	// TileOverflow shows "+N others".
	TileOverflow TileKind = "overflow"
)

// Tile is one thing on the canvas. Tiles are comparable.
type Tile struct {
	// Rect is where it is: inside the canvas, even.
	Rect Rect `json:"rect"`
	// Z is the stacking order, higher in front.
	Z int `json:"z"`
	// Kind is what it shows.
	Kind TileKind `json:"kind"`
	// PeerID is whose tile it is; empty for TileOverflow.
	PeerID string `json:"peer_id,omitempty"`
	// TrackID is the video track; empty for TileAvatar and TileOverflow.
	TrackID string `json:"track_id,omitempty"`
	// Fit is the policy for Place; empty without a track.
	Fit Fit `json:"fit,omitempty"`
	// Label is the text at the bottom left: the peer's name when names are wanted, "+N others" on an
	// overflow tile, nothing on a screen, of which a label would hide a part. It is one line of at most 128
	// characters; the renderer cuts it to the tile.
	Label string `json:"label,omitempty"`
	// Initials are one or two characters for the avatar, also when names are not wanted; on a camera for the time
	// in which it has no picture yet.
	Initials string `json:"initials,omitempty"`
	// MicMuted asks for the icon of a muted microphone.
	MicMuted bool `json:"mic_muted,omitempty"`
	// Others is how many peers a TileOverflow stands for.
	Others int `json:"others,omitempty"`
}

// Build makes the plan of a session. The options' zero values stand for defaults. Errors are *InputError,
// joined, and name the field: Options are checked as by Validate, and roles must be those of peers.
func Build(o Options, s Session) (Plan, error) {
	o = o.WithDefaults()
	p := &problems{}
	o.check(p)
	o.checkRoles(s, p)
	if s.Duration < 0 || s.Duration > maxDuration {
		p.add("duration", "use 0 to 10000 hours", "%v is outside the limits", s.Duration)
	}
	if err := p.err(); err != nil {
		return Plan{}, err
	}
	plan := Plan{Canvas: o.Canvas, Layout: o.Layout, Duration: s.Duration, Frames: frameAt(s.Duration, o.Canvas.FPS), Step: 1}
	for plan.Scenes = play(o, s, plan); len(plan.Scenes) > MaxScenes; plan.Scenes = play(o, s, plan) {
		// With this step there are at most MaxScenes places for a change, so there is no third round.
		plan.Step = (plan.Frames + MaxScenes - 1) / MaxScenes
	}
	return plan, nil
}

// SceneAt returns the index of the scene that has the frame, or -1 when the plan has no such frame.
func (p Plan) SceneAt(frame int64) int {
	if frame < 0 || frame >= p.Frames {
		return -1
	}
	return sort.Search(len(p.Scenes), func(i int) bool { return p.Scenes[i].EndFrame > frame })
}

// frameAt returns the number of the first frame at or after t. Seconds and the rest are kept apart, as
// nanoseconds times frames would overflow after five years.
func frameAt(t time.Duration, fps int) int64 {
	whole, rest := int64(t/time.Second), int64(t%time.Second)
	return whole*int64(fps) + (rest*int64(fps)+int64(time.Second)-1)/int64(time.Second)
}

// timeOf returns the time of a frame, rounded down to nanoseconds; frameAt turns it back.
func timeOf(frame int64, fps int) time.Duration {
	f := int64(fps)
	return time.Duration(frame/f)*time.Second + time.Duration(frame%f*int64(time.Second)/f)
}

// play goes through the session's changes and returns the scenes; it stops early when they are more than
// MaxScenes.
func play(o Options, s Session, plan Plan) []Scene {
	scenes := []Scene{}
	d := newDirector(o)
	tl := newTimeline(o, s)
	for frame := int64(0); frame < plan.Frames && len(scenes) <= MaxScenes; {
		next := tl.advance(frame, o.Canvas.FPS, plan.Step)
		name, tiles := d.arrange(&tl.moment)
		end := min(next, plan.Frames)
		if n := len(scenes); n > 0 && scenes[n-1].Layout == name && slices.Equal(scenes[n-1].Tiles, tiles) {
			scenes[n-1].EndFrame = end
		} else {
			scenes = append(scenes, Scene{FirstFrame: frame, EndFrame: end, Layout: name, Tiles: tiles})
		}
		frame = end
	}
	for i := range scenes {
		scenes[i].From, scenes[i].To = timeOf(scenes[i].FirstFrame, o.Canvas.FPS), timeOf(scenes[i].EndFrame, o.Canvas.FPS)
	}
	if n := len(scenes); n > 0 {
		scenes[n-1].To = s.Duration
	}
	return scenes
}
