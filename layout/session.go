package layout

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// Forever is the end of what is not known to have ended: a peer that stayed, a mute that was never taken
// back. It is clipped to the session's duration like every time.
const Forever time.Duration = math.MaxInt64

// maxDuration bounds a session (more than a year), so that no sum of times overflows.
const maxDuration = 10_000 * time.Hour

// Session is what happened in the room. All times are offsets from the beginning of the output, with pauses
// already cut out; they may be in any order and lie outside [0, Duration), where they are clipped. Build
// only reads it.
type Session struct {
	// Duration of the output, at most 10,000 hours.
	Duration time.Duration
	// Peers are the stays: the same id appears again for a peer that left and came back.
	Peers []Peer
	// Tracks are all tracks; one of a peer that is not listed is ignored.
	Tracks []Track
	// Events are what the room server said; unknown types are ignored.
	Events []Event
}

// Interval is a stretch of time, From included, To not.
type Interval struct {
	// From is the beginning.
	From time.Duration `json:"from_ns"`
	// To is the end; Forever when there is none.
	To time.Duration `json:"to_ns"`
}

// Peer is one stay of one peer in the room.
type Peer struct {
	// ID of the peer in the session. Stays of the same id that touch are taken for one.
	ID string
	// Name is shown on tiles; the id when empty. Control characters are dropped, long names cut.
	Name string
	// Role is what Options.Roles and role regions refer to; optional.
	Role string
	// Join is when the peer came.
	Join time.Duration
	// Leave is when the peer went; Forever when it stayed. A stay without length is not seen.
	Leave time.Duration
	// Speaking are the stretches in which the peer speaks. They are used when Session.Events has no
	// EventActiveSpeaker; optional. It does not matter which of several stays has them.
	Speaking []Interval
}

// Media is what a track carries.
type Media string

// The kinds of media.
const (
	// Audio is sound.
	Audio Media = "audio"
	// Video is pictures.
	Video Media = "video"
)

// Track is one track of a peer.
type Track struct {
	// ID of the track.
	ID string
	// PeerID is the peer it belongs to; it is seen during that peer's stays only.
	PeerID string
	// Kind is Audio or Video.
	Kind Media
	// Screen says that it is a shared screen (or its sound), not a camera (or microphone).
	Screen bool
	// Present are the stretches with media: from a frame that can be shown to the end of the last frame
	// before a gap. Gaps shorter than 3 s need not be told.
	Present []Interval
	// Muted are the stretches in which the peer had switched the track off.
	Muted []Interval
}

// EventType says what an event is about.
type EventType string

// The events that are used.
const (
	// EventActiveSpeaker says that PeerID is the one who speaks.
	EventActiveSpeaker EventType = "active-speaker"
	// EventPin says that PeerID, or the peer or screen of TrackID, was pinned.
	EventPin EventType = "pin"
	// EventUnpin takes that pin back; without ids, all pins.
	EventUnpin EventType = "unpin"
)

// Event is something that happened in the room.
type Event struct {
	// At is when it happened.
	At time.Duration
	// Type is one of the Event constants.
	Type EventType
	// PeerID is the peer it is about; optional for pins of a track.
	PeerID string
	// TrackID is the track it is about; pins only.
	TrackID string
}

// clip returns the intervals inside [0, limit), sorted, without empty ones; those that touch are joined.
func clip(list []Interval, limit time.Duration) []Interval {
	out := make([]Interval, 0, len(list))
	for _, iv := range list {
		if iv.From, iv.To = max(iv.From, 0), min(iv.To, limit); iv.From < iv.To {
			out = append(out, iv)
		}
	}
	slices.SortFunc(out, func(a, b Interval) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	joined := out[:0]
	for _, iv := range out {
		if n := len(joined); n > 0 && iv.From <= joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, iv.To)
			continue
		}
		joined = append(joined, iv)
	}
	return joined
}

// subtract returns a without the stretches of b; both are sorted and disjoint, as clip leaves them.
func subtract(a, b []Interval) []Interval {
	out := make([]Interval, 0, len(a))
	next := 0
	for _, iv := range a {
		for next < len(b) && b[next].To <= iv.From {
			next++
		}
		for i := next; i < len(b) && b[i].From < iv.To; i++ {
			if iv.From < b[i].From {
				out = append(out, Interval{iv.From, b[i].From})
			}
			iv.From = b[i].To
		}
		if iv.From < iv.To {
			out = append(out, iv)
		}
	}
	return out
}

// stay is a peer's stay, clipped, with what the director remembers about it.
type stay struct {
	Peer
	order    int    // place among all stays: join time, then id
	label    string // cleaned name
	initials string
	cameras  []*video // of the peer
	mic      *bool    // whether the peer's microphone is muted now
	spoke    int      // number of the turn in which it last became the active speaker; 0 for never
}

// video is a video track, with when it has a picture and whether it has one now.
type video struct {
	id, peer string
	screen   bool
	start    time.Duration // of its first frame
	shown    []Interval
	on       bool
}

// cast is the session sorted out: who can be seen.
type cast struct {
	stays  []*stay
	byID   map[string][]*stay // in time order
	videos []*video           // later start first, then by id: the order of preference
	micOff map[string][]Interval
}

func newCast(o Options, s Session) *cast {
	c := &cast{byID: map[string][]*stay{}, micOff: map[string][]Interval{}}
	c.addStays(o, s)
	cameras := map[string][]*video{}
	mics := map[string][]Track{}
	for _, t := range s.Tracks {
		if c.byID[t.PeerID] == nil {
			continue
		}
		switch {
		case t.Kind == Video:
			if v := newVideo(t, s.Duration); len(v.shown) > 0 {
				c.videos = append(c.videos, v)
			}
		case t.Kind == Audio && !t.Screen:
			mics[t.PeerID] = append(mics[t.PeerID], t)
		}
	}
	slices.SortStableFunc(c.videos, func(a, b *video) int {
		return cmp.Or(cmp.Compare(b.start, a.start), strings.Compare(a.id, b.id), strings.Compare(a.peer, b.peer))
	})
	for _, v := range c.videos {
		if !v.screen {
			cameras[v.peer] = append(cameras[v.peer], v)
		}
	}
	for id, stays := range c.byID {
		off := new(bool)
		for _, st := range stays {
			st.cameras, st.mic = cameras[id], off
		}
		c.micOff[id] = micMuted(mics[id], s.Duration)
	}
	return c
}

// addStays sorts the stays of the selected roles and joins those of one id that touch.
func (c *cast) addStays(o Options, s Session) {
	list := slices.Clone(s.Peers)
	slices.SortStableFunc(list, func(a, b Peer) int {
		return cmp.Or(cmp.Compare(a.Join, b.Join), strings.Compare(a.ID, b.ID))
	})
	for _, p := range list {
		p.Join, p.Leave = max(p.Join, 0), min(p.Leave, s.Duration)
		if !o.Selects(p.Role) || p.Join >= p.Leave {
			continue
		}
		if before := c.byID[p.ID]; len(before) > 0 && p.Join <= before[len(before)-1].Leave {
			last := before[len(before)-1]
			last.Leave = max(last.Leave, p.Leave)
			continue
		}
		st := &stay{Peer: p, order: len(c.stays), label: cleanName(cmp.Or(cleanName(p.Name), p.ID))}
		st.initials = initials(st.label)
		c.stays = append(c.stays, st)
		c.byID[p.ID] = append(c.byID[p.ID], st)
	}
}

// at returns the stay of the peer at a time, or nil.
func (c *cast) at(id string, t time.Duration) *stay {
	stays := c.byID[id]
	i, found := slices.BinarySearchFunc(stays, t, func(st *stay, t time.Duration) int { return cmp.Compare(st.Join, t) })
	if !found {
		i--
	}
	if i < 0 || t >= stays[i].Leave {
		return nil
	}
	return stays[i]
}
