package layout

import (
	"cmp"
	"slices"
	"time"
)

// minTurn is how long an active speaker stays one, whoever speaks meanwhile.
const minTurn = 2 * time.Second

// turn is the time from which a peer is the active speaker.
type turn struct {
	at time.Duration
	st *stay
}

// utterance says that a peer began to speak.
type utterance struct {
	at   time.Duration
	peer string
}

// turns says who the active speaker is from when on: the one of the latest event, but nobody for less than
// 2 s, unless the speaker leaves. It lasts until the next turn or the speaker's leaving.
func (c *cast) turns(s Session) []turn {
	t := turnTaker{cast: c}
	for _, u := range utterances(s) {
		t.settle(u.at)
		t.hear(u)
	}
	t.settle(s.Duration)
	return t.list
}

// turnTaker goes through the utterances in time order.
type turnTaker struct {
	cast    *cast
	list    []turn
	now     *stay         // the active speaker; nil before the first
	free    time.Duration // when somebody else may take over
	waiting string        // who will; empty for nobody
}

func (t *turnTaker) hear(u utterance) {
	st := t.cast.at(u.peer, u.at)
	switch {
	case st == nil:
	case st == t.now:
		t.waiting = ""
	case t.now == nil || u.at >= t.free:
		t.take(u.at, st)
	default:
		t.waiting = u.peer
	}
}

// settle lets the one who waits take over if that happens before at; at that very time, the word is with
// whoever is heard then.
func (t *turnTaker) settle(at time.Duration) {
	if t.waiting == "" || t.free >= at {
		return
	}
	if st := t.cast.at(t.waiting, t.free); st != nil {
		t.take(t.free, st)
	}
	t.waiting = ""
}

func (t *turnTaker) take(at time.Duration, st *stay) {
	t.list = append(t.list, turn{at, st})
	t.now, t.waiting = st, ""
	t.free = min(at+minTurn, st.Leave)
}

// utterances returns who began to speak when, in time order: from the events, else from the stretches in
// which peers speak. When one who spoke stops, the word goes back to the latest of those who still do.
func utterances(s Session) []utterance {
	var list []utterance
	told := false
	for _, e := range s.Events {
		if e.Type != EventActiveSpeaker {
			continue
		}
		told = true
		if e.At < s.Duration && e.PeerID != "" {
			list = append(list, utterance{max(e.At, 0), e.PeerID})
		}
	}
	if !told {
		return fromSpeaking(s)
	}
	slices.SortStableFunc(list, func(a, b utterance) int { return cmp.Compare(a.at, b.at) })
	return list
}

func fromSpeaking(s Session) []utterance {
	type edge struct {
		utterance
		stop bool
	}
	stretches := map[string][]Interval{}
	for _, p := range s.Peers {
		stretches[p.ID] = append(stretches[p.ID], p.Speaking...)
	}
	var edges []edge
	for id, list := range stretches {
		for _, iv := range clip(list, s.Duration) {
			edges = append(edges, edge{utterance{iv.From, id}, false}, edge{utterance{iv.To, id}, true})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		byKind := 0
		if a.stop != b.stop {
			if byKind = 1; a.stop {
				byKind = -1
			}
		}
		return cmp.Or(cmp.Compare(a.at, b.at), byKind, cmp.Compare(a.peer, b.peer))
	})
	var out []utterance
	var talking []string // the latest last
	for _, e := range edges {
		if !e.stop {
			talking = append(talking, e.peer)
			out = append(out, e.utterance)
			continue
		}
		i := slices.Index(talking, e.peer)
		latest := i == len(talking)-1
		talking = slices.Delete(talking, i, i+1)
		if n := len(talking); latest && n > 0 && e.at < s.Duration {
			out = append(out, utterance{e.at, talking[n-1]})
		}
	}
	return out
}
