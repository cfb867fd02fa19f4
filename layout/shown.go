package layout

import (
	"time"
)

// hold is how long the last frame stays when frames stop coming without a mute.
const hold = 3 * time.Second

// newVideo works out when a video track has a picture.
//
// A mute takes the picture away at once; after it there is none until the next frame. When frames stop
// without a mute, a camera holds its last one for 3 s. A screen holds it until the next frame, however
// late: a screen on which nothing changes sends nothing. When a screen's frames are over, so is the share.
func newVideo(t Track, duration time.Duration) *video {
	present, muted := clip(t.Present, duration), clip(t.Muted, duration)
	v := &video{id: t.ID, peer: t.PeerID, screen: t.Screen}
	for i, span := range present {
		v.shown = append(v.shown, subtract([]Interval{span}, muted)...)
		held := Interval{span.To, min(span.To+hold, duration)}
		switch next := i + 1; {
		case next < len(present) && t.Screen:
			held.To = present[next].From
		case next < len(present):
			held.To = min(held.To, present[next].From)
		case t.Screen:
			held.To = span.To
		}
		if until := firstMute(muted, held); until > held.From {
			v.shown = append(v.shown, Interval{held.From, until})
		}
	}
	v.shown = clip(v.shown, duration)
	if len(v.shown) > 0 {
		v.start = v.shown[0].From
	}
	return v
}

// firstMute returns where the first mute cuts iv: its beginning when it starts muted, its end when no mute
// touches it.
func firstMute(muted []Interval, iv Interval) time.Duration {
	for _, m := range muted {
		// A mute that ends where the frames end took the last frame away.
		if m.To >= iv.From && m.From < iv.To {
			return max(m.From, iv.From)
		}
	}
	return iv.To
}

// micMuted returns when a peer's microphone is muted: one of its tracks is, and no other one has sound.
func micMuted(mics []Track, duration time.Duration) []Interval {
	var off, on []Interval
	for _, t := range mics {
		muted := clip(t.Muted, duration)
		off = append(off, muted...)
		on = append(on, subtract(clip(t.Present, duration), muted)...)
	}
	return subtract(clip(off, duration), clip(on, duration))
}
