package layout

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// moment is what is true at one frame.
type moment struct {
	peers   []*stay  // in the room, in order: join time, then id
	screens []*video // shared now, the newest first
	speaker *stay    // the active speaker; nil before anybody spoke and after the speaker left
	pins    []pin    // in force, the latest last
	cast    *cast
}

// pin is a pinned peer or track.
type pin struct {
	peer  string
	video *video // nil when a peer was pinned, or a track that is not a video
}

// change is one thing that happens; it alters the moment.
type change struct {
	at   time.Duration
	make func(*moment)
}

// timeline is all changes in time order, and the moment that they have led to.
type timeline struct {
	moment  moment
	changes []change
}

// newTimeline lists the changes. Of those at the same time, later kinds see what earlier ones did: people
// come and go first, then pictures and microphones change, then somebody speaks.
func newTimeline(o Options, s Session) *timeline {
	c := newCast(o, s)
	tl := &timeline{moment: moment{cast: c}}
	for _, st := range c.stays {
		tl.add(st.Leave, func(m *moment) { m.leave(st) })
		tl.add(st.Join, func(m *moment) { m.join(st) })
	}
	for _, v := range c.videos {
		tl.addSpans(v.shown, func(m *moment, on bool) { m.show(v, on) })
	}
	for _, st := range c.stays {
		if c.byID[st.ID][0] == st { // the microphone is the peer's, not the stay's
			tl.addSpans(c.micOff[st.ID], func(_ *moment, on bool) { *st.mic = on })
		}
	}
	for i, t := range c.turns(s) {
		tl.add(t.at, func(m *moment) { m.speaker, t.st.spoke = t.st, i+1 })
	}
	tl.addPins(s)
	slices.SortStableFunc(tl.changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	return tl
}

func (tl *timeline) add(at time.Duration, fn func(*moment)) {
	tl.changes = append(tl.changes, change{at, fn})
}

func (tl *timeline) addSpans(spans []Interval, fn func(m *moment, on bool)) {
	for _, iv := range spans {
		tl.add(iv.From, func(m *moment) { fn(m, true) })
		tl.add(iv.To, func(m *moment) { fn(m, false) })
	}
}

func (tl *timeline) addPins(s Session) {
	tracks := make(map[string]Track, len(s.Tracks))
	for _, t := range s.Tracks {
		tracks[t.ID] = t
	}
	videos := make(map[string]*video, len(tl.moment.cast.videos))
	for _, v := range tl.moment.cast.videos {
		videos[v.id] = v
	}
	for _, e := range s.Events {
		if e.At >= s.Duration || e.Type != EventPin && e.Type != EventUnpin {
			continue
		}
		target := pin{peer: e.PeerID}
		if t, ok := tracks[e.TrackID]; ok && e.TrackID != "" {
			target.peer = cmp.Or(target.peer, t.PeerID)
			if v := videos[t.ID]; v != nil && v.screen {
				target = pin{peer: t.PeerID, video: v}
			}
		}
		// An unpin of a peer is meant for its screen too, one of nobody for everybody.
		wide := e.Type == EventUnpin && e.TrackID == ""
		tl.add(max(e.At, 0), func(m *moment) {
			m.pins = slices.DeleteFunc(m.pins, func(p pin) bool {
				return p == target || wide && (e.PeerID == "" || p.peer == e.PeerID)
			})
			if e.Type == EventPin && target.peer != "" {
				m.pins = append(m.pins, target)
			}
		})
	}
}

// advance makes all changes that fall on frames up to this one, and returns the frame of the next change.
// A change falls on the first frame at or after its time whose number is a multiple of step.
func (tl *timeline) advance(frame int64, fps int, step int64) int64 {
	for len(tl.changes) > 0 {
		next := (frameAt(tl.changes[0].at, fps) + step - 1) / step * step
		if next > frame {
			return next
		}
		tl.changes[0].make(&tl.moment)
		tl.changes = tl.changes[1:]
	}
	return math.MaxInt64
}

func byOrder(st *stay, order int) int { return cmp.Compare(st.order, order) }

func (m *moment) join(st *stay) {
	i, _ := slices.BinarySearchFunc(m.peers, st.order, byOrder)
	m.peers = slices.Insert(m.peers, i, st)
}

func (m *moment) leave(st *stay) {
	if i, ok := slices.BinarySearchFunc(m.peers, st.order, byOrder); ok {
		m.peers = slices.Delete(m.peers, i, i+1)
	}
	if m.speaker == st {
		m.speaker = nil
	}
}

func (m *moment) show(v *video, on bool) {
	v.on = on
	if !v.screen {
		return
	}
	m.screens = slices.DeleteFunc(m.screens, func(s *video) bool { return s == v })
	if on {
		i := slices.IndexFunc(m.screens, func(s *video) bool { return s.start < v.start || s.start == v.start && s.id > v.id })
		if i < 0 {
			i = len(m.screens)
		}
		m.screens = slices.Insert(m.screens, i, v)
	}
}

// stay returns the peer's stay at this moment, or nil.
func (m *moment) stay(id string) *stay {
	i := slices.IndexFunc(m.cast.byID[id], func(st *stay) bool { return m.here(st) })
	if i < 0 {
		return nil
	}
	return m.cast.byID[id][i]
}

func (m *moment) here(st *stay) bool {
	_, ok := slices.BinarySearchFunc(m.peers, st.order, byOrder)
	return ok
}

// screen returns the newest screen that a peer in the room shares, and that peer; nil when there is none.
func (m *moment) screen() (*video, *stay) {
	for _, v := range m.screens {
		if st := m.stay(v.peer); st != nil {
			return v, st
		}
	}
	return nil, nil
}

// leading returns the active speaker; after that one left, who spoke last; before anybody spoke, the first
// in order; nil when nobody is there.
func (m *moment) leading() *stay {
	if m.speaker != nil {
		return m.speaker
	}
	var last *stay
	for _, st := range m.peers {
		if last == nil || st.spoke > last.spoke {
			last = st
		}
	}
	return last
}

// pinned returns the latest pin that shows something now.
func (m *moment) pinned() (*video, *stay) {
	for _, p := range slices.Backward(m.pins) {
		if st := m.stay(p.peer); st != nil && (p.video == nil || p.video.on) {
			return p.video, st
		}
	}
	return nil, nil
}

// others returns the peers in the room without one.
func (m *moment) others(than *stay) []*stay {
	return slices.DeleteFunc(slices.Clone(m.peers), func(st *stay) bool { return st == than })
}
