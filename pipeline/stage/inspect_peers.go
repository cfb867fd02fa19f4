package stage

import (
	"cmp"
	"slices"
	"time"

	"rushes/pipeline/capture"
)

// room gathers what is known of the peers of a capture.
type room struct {
	c     *capture.Capture
	peers []PeerInspection
	at    map[string]int           // by id
	stays map[string][]capture.Gap // by id
}

// stay notes a stay of a peer, who may be new.
func (r *room) stay(id string, g capture.Gap) *PeerInspection {
	i, ok := r.at[id]
	if !ok {
		i = len(r.peers)
		r.at[id] = i
		r.peers = append(r.peers, PeerInspection{ID: id})
	}
	if g.To > g.From {
		r.stays[id] = append(r.stays[id], g)
	}
	return &r.peers[i]
}

// inspectPeers lists the peers in the manifest's order, those that only tracks name behind them.
func inspectPeers(c *capture.Capture, ix *capture.Index, end time.Duration) []PeerInspection {
	r := &room{c: c, peers: []PeerInspection{}, at: map[string]int{}, stays: map[string][]capture.Gap{}}
	for i := range c.Manifest.Peers {
		p := &c.Manifest.Peers[i]
		g := capture.Gap{To: end}
		if !p.JoinedAt.IsZero() {
			g.From = c.Session.Offset(p.JoinedAt.Time)
		}
		if !p.LeftAt.IsZero() {
			g.To = c.Session.Offset(p.LeftAt.Time)
		}
		in := r.stay(p.ID, g)
		in.UserID, in.Name, in.Role = p.UserID, p.Name, p.Role
	}
	listed := len(r.peers)
	tracks := map[string][]*capture.TrackIndex{}
	for _, t := range ix.Tracks {
		id := t.Track.PeerID
		if i, ok := r.at[id]; !ok || i >= listed {
			r.stay(id, capture.Gap{From: t.Begin, To: t.End})
		}
		tracks[id] = append(tracks[id], t)
	}
	turns := speaking(c, end)
	for i := range r.peers {
		r.fill(&r.peers[i], tracks[r.peers[i].ID], turns[r.peers[i].ID])
	}
	return r.peers
}

// fill says what a peer did: by its tracks, and by its turns to speak.
func (r *room) fill(p *PeerInspection, tracks []*capture.TrackIndex, turns []capture.Gap) {
	var camera, muted, screen []capture.Gap
	for _, t := range tracks {
		all, off := []capture.Gap{{From: t.Begin, To: t.End}}, joined(mutes(r.c, t))
		switch {
		case t.Track.Kind == capture.KindAudio && !t.Track.Screen():
			muted = append(muted, off...)
		case t.Units == 0 || t.Track.Kind == capture.KindAudio:
		case t.Track.Screen(): // one that does not change sends little: its gaps mean nothing
			screen = append(screen, without(all, off)...)
		default:
			camera = append(camera, without(all, joined(append(off, t.Gaps...)))...)
		}
	}
	own := joined(r.stays[p.ID])
	muted = within(joined(muted), own)
	p.Stays, p.Camera, p.Muted, p.Screen = spans(own), spans(joined(camera)), spans(muted), spans(joined(screen))
	p.Speaking = spans(without(within(joined(turns), own), muted))
}

// speaking gives each peer's turns: from the event that names it to the next one that names another, or nobody.
func speaking(c *capture.Capture, end time.Duration) map[string][]capture.Gap {
	turns := map[string][]capture.Gap{}
	who, since := "", time.Duration(0)
	done := func(until time.Duration) {
		if who != "" && until > since {
			turns[who] = append(turns[who], capture.Gap{From: since, To: until})
		}
	}
	for _, e := range c.Manifest.Events {
		if e.Type == capture.EventActiveSpeaker {
			at := c.Session.Offset(e.At.Time)
			done(at)
			who, since = e.PeerID, at
		}
	}
	done(end)
	return turns
}

func span(g capture.Gap) GapInspection {
	return GapInspection{FromMS: g.From.Milliseconds(), ToMS: g.To.Milliseconds()}
}

func spans(gaps []capture.Gap) []GapInspection {
	out := make([]GapInspection, 0, len(gaps))
	for _, g := range gaps {
		out = append(out, span(g))
	}
	return out
}

// joined sorts stretches and makes one of those that overlap or touch.
func joined(gaps []capture.Gap) []capture.Gap {
	gaps = slices.Clone(gaps)
	slices.SortFunc(gaps, func(a, b capture.Gap) int { return cmp.Compare(a.From, b.From) })
	var out []capture.Gap
	for _, g := range gaps {
		if n := len(out); n > 0 && g.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, g.To)
			continue
		}
		out = append(out, g)
	}
	return out
}

// within is what of some stretches lies in others; both are joined.
func within(gaps, allowed []capture.Gap) []capture.Gap {
	var out []capture.Gap
	for i, k := 0, 0; i < len(gaps) && k < len(allowed); {
		if from, to := max(gaps[i].From, allowed[k].From), min(gaps[i].To, allowed[k].To); to > from {
			out = append(out, capture.Gap{From: from, To: to})
		}
		if gaps[i].To < allowed[k].To {
			i++
		} else {
			k++
		}
	}
	return out
}

// without is what of some stretches lies outside of others; both are joined.
func without(gaps, cut []capture.Gap) []capture.Gap {
	var out []capture.Gap
	k := 0
	for _, g := range gaps {
		for k < len(cut) && cut[k].To <= g.From {
			k++
		}
		for i := k; i < len(cut) && cut[i].From < g.To; i++ {
			if cut[i].From > g.From {
				out = append(out, capture.Gap{From: g.From, To: cut[i].From})
			}
			g.From = max(g.From, cut[i].To)
		}
		if g.To > g.From {
			out = append(out, g)
		}
	}
	return out
}
