package layout

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// LoudnessWindow is the time that one level of Loudness stands for.
const LoudnessWindow = 100 * time.Millisecond

// How speech is told from silence.
const (
	speechLevel  = -45.0 // dBFS; quieter is taken for silence
	speechMargin = 3.0   // dB by which somebody must be louder than the speaker to take over
	smoothing    = 0.3   // share of the newest window in the running mean of power: about 0.3 s
)

// Loudness is how loud a peer is: the levels of one track, or of the sum of its tracks.
type Loudness struct {
	// PeerID is the peer. Several entries of one peer count as the loudest of them.
	PeerID string
	// From is when the first window begins, in session time; it is rounded down to whole windows.
	From time.Duration
	// Levels are mean levels in dBFS, one per LoudnessWindow without holes; −∞ is digital silence, and what
	// is not a number counts as that.
	Levels []float64
}

// SpeakersFromLoudness turns measured levels into EventActiveSpeaker events in time order, for sessions
// whose recorder noted none. Somebody becomes the speaker by being the loudest above −45 dBFS, by 3 dB if
// the present speaker still speaks, and stays it for at least 2 s.
func SpeakersFromLoudness(levels []Loudness) []Event {
	pending := make([]*meter, 0, len(levels))
	for _, l := range levels {
		if len(l.Levels) > 0 {
			pending = append(pending, &meter{Loudness: l, first: int64(max(l.From, 0) / LoudnessWindow)})
		}
	}
	slices.SortStableFunc(pending, func(a, b *meter) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.PeerID, b.PeerID))
	})
	var events []Event
	var active []*meter
	speaker, free := "", int64(0)
	for w := int64(0); len(pending)+len(active) > 0; w++ {
		if len(active) == 0 {
			w = max(w, pending[0].first) // nobody is measured before: no walk through empty years
		}
		for len(pending) > 0 && pending[0].first <= w {
			active, pending = append(active, pending[0]), pending[1:]
		}
		active = slices.DeleteFunc(active, func(m *meter) bool { return !m.advance(w) })
		loudest := loudestOf(active, speaker)
		if loudest == "" || loudest == speaker || w < free {
			continue
		}
		speaker, free = loudest, w+int64(minTurn/LoudnessWindow)
		events = append(events, Event{At: time.Duration(w) * LoudnessWindow, Type: EventActiveSpeaker, PeerID: speaker})
	}
	return events
}

// meter follows one track's levels.
type meter struct {
	Loudness
	first int64   // window of Levels[0]
	power float64 // running mean
}

// advance takes in window w; false when the levels are over.
func (m *meter) advance(w int64) bool {
	i := w - m.first
	if i >= int64(len(m.Levels)) {
		return false
	}
	power := 0.0
	if level := m.Levels[i]; !math.IsNaN(level) {
		power = math.Pow(10, min(level, 0)/10)
	}
	m.power += smoothing * (power - m.power)
	return true
}

// loudestOf returns who is loudest, or nothing when all are silent. The speaker has the advantage of
// speechMargin; of equals, the one with the lower id is it.
func loudestOf(active []*meter, speaker string) string {
	best, who := 0.0, ""
	for _, m := range active {
		level := 10 * math.Log10(m.power)
		if level < speechLevel {
			continue
		}
		if m.PeerID == speaker {
			level += speechMargin
		}
		if who == "" || level > best || level == best && m.PeerID < who {
			best, who = level, m.PeerID
		}
	}
	return who
}
