package stage

import (
	"fmt"
	"math"
	"slices"
	"time"

	"rushes/catalog"
	"rushes/layout"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

const (
	longestSession = 24 * time.Hour  // that is believed without media to its end
	mostTiles      = 25              // without somebody being left out
	longHold       = 3 * time.Second // gaps shorter than this need not be told to layout
)

// options are the request's composition in layout's words.
func (c *composer) options() layout.Options {
	o := c.capture.Manifest.Outputs.Composition
	out := layout.Options{Canvas: layout.Canvas{Width: o.Width, Height: o.Height, FPS: max(int(o.FPS), 0), Background: o.Background}, Layout: layout.Name(o.Layout), Roles: o.Roles, Names: o.Names}
	for _, r := range o.Regions {
		out.Regions = append(out.Regions, layout.Region{Rect: layout.Rect{X: r.X, Y: r.Y, Width: r.Width, Height: r.Height}, Z: r.Z, Show: r.Show})
	}
	if o.FPS == capture.AutoFPS {
		var rates []float64
		for _, t := range c.index.Tracks {
			if t.Track.Kind == capture.KindVideo && t.Units > 0 && out.Selects(c.roleOf(t.Track.PeerID)) {
				rates = append(rates, t.Rate())
			}
		}
		out.Canvas.FPS = layout.AutoFPS(rates)
	}
	return out
}

func (c *composer) roleOf(peer string) string {
	for i := range c.capture.Manifest.Peers {
		if p := &c.capture.Manifest.Peers[i]; p.ID == peer {
			return p.Role
		}
	}
	return ""
}

// refuse holds the request against the limits before anything is read.
func (c *composer) refuse() error {
	_, err := layout.Build(c.options(), layout.Session{Duration: time.Second, Peers: c.peers()})
	return err
}

// wantsLevels tells whether the plan depends on how loud everybody is.
func (c *composer) wantsLevels() bool {
	for _, e := range c.capture.Manifest.Events {
		if e.Type == capture.EventActiveSpeaker {
			return false
		}
	}
	o := c.options().WithDefaults()
	grid := o.Layout == layout.Grid || o.Layout == layout.Auto && !slices.ContainsFunc(c.index.Tracks, func(t *capture.TrackIndex) bool { return t.Track.Screen() })
	return !grid || len(c.peers()) > mostTiles
}

// duration is that of the output: of the session less its pauses or, where nobody says when it stopped or that cannot
// be, to the end of the last track.
func (c *composer) duration() time.Duration {
	d, known := c.capture.Session.Duration()
	if known && d <= longestSession {
		return d
	}
	end := time.Duration(0)
	for _, t := range c.index.Tracks {
		if t.Units > 0 && t.End <= longestSession {
			end = max(end, t.End)
		}
	}
	out, _ := c.capture.Session.Output(end)
	return out
}

// interval gives a manifest's stretch in session time.
func (c *composer) interval(i capture.Interval) transcode.Interval {
	out := transcode.Interval{From: c.capture.Session.Offset(i.From.Time), To: longestSession * 100}
	if !i.To.IsZero() {
		out.To = c.capture.Session.Offset(i.To.Time)
	}
	return out
}

// out gives a session time in output time.
func (c *composer) out(at time.Duration) time.Duration {
	if at >= longestSession*50 {
		return layout.Forever
	}
	o, _ := c.capture.Session.Output(max(at, 0))
	return o
}

// plan says who is where, when.
func (c *composer) plan(sound soundMade) (layout.Plan, error) {
	s := layout.Session{Duration: c.duration(), Peers: c.peers()}
	if s.Duration <= 0 {
		return layout.Plan{}, &capture.InputError{File: c.capture.Name, Reason: "the session has no length: no stopped_at and no track that can be read"}
	}
	for _, t := range c.index.Tracks {
		s.Tracks = append(s.Tracks, c.track(t))
	}
	if d, known := c.capture.Session.Duration(); known && d != s.Duration {
		c.defects = append(c.defects, catalog.Defect{Kind: transcode.DefectTimeJump, Detail: fmt.Sprintf("the session is said to last %v; the composite ends with the last track", d)})
	}
	speakers := false
	for _, e := range c.capture.Manifest.Events {
		s.Events = append(s.Events, layout.Event{At: c.out(c.capture.Session.Offset(e.At.Time)), Type: layout.EventType(e.Type), PeerID: e.PeerID, TrackID: e.TrackID})
		speakers = speakers || e.Type == capture.EventActiveSpeaker
	}
	if !speakers {
		s.Events = append(s.Events, layout.SpeakersFromLoudness(c.loudness(sound))...)
	}
	plan, err := layout.Build(c.options(), s)
	if err != nil {
		return plan, err
	}
	if plan.Step > 1 {
		c.defects = append(c.defects, catalog.Defect{Kind: "many-changes", Detail: fmt.Sprintf("the session changes so often that scenes change only every %d frames", plan.Step)})
	}
	return plan, nil
}

// peers are the stays of the manifest; a peer that is missing in it was there while its tracks were.
func (c *composer) peers() []layout.Peer {
	var out []layout.Peer
	known := map[string]bool{}
	for i := range c.capture.Manifest.Peers {
		p := &c.capture.Manifest.Peers[i]
		known[p.ID] = true
		stay := layout.Peer{ID: p.ID, Name: p.Name, Role: p.Role, Leave: layout.Forever}
		if !p.JoinedAt.IsZero() {
			stay.Join = c.out(c.capture.Session.Offset(p.JoinedAt.Time))
		}
		if !p.LeftAt.IsZero() {
			stay.Leave = c.out(c.capture.Session.Offset(p.LeftAt.Time))
		}
		out = append(out, stay)
	}
	at := map[string]int{}
	for _, t := range c.index.Tracks {
		if known[t.Track.PeerID] || t.Units == 0 {
			continue
		}
		i, ok := at[t.Track.PeerID]
		if !ok {
			i = len(out)
			at[t.Track.PeerID] = i
			out = append(out, layout.Peer{ID: t.Track.PeerID, Join: c.out(t.Begin), Leave: c.out(t.End)})
		}
		out[i].Join, out[i].Leave = min(out[i].Join, c.out(t.Begin)), max(out[i].Leave, c.out(t.End))
	}
	return out
}

func (c *composer) track(t *capture.TrackIndex) layout.Track {
	out := layout.Track{ID: t.Track.ID, PeerID: t.Track.PeerID, Kind: layout.Audio, Screen: t.Track.Screen()}
	begin := t.Begin
	if t.Track.Kind == capture.KindVideo {
		out.Kind = layout.Video
		if len(t.Keys) == 0 {
			return out // nothing of it can be shown
		}
		begin = t.Keys[0].At
	}
	for _, m := range t.Track.Muted {
		i := c.interval(m)
		out.Muted = append(out.Muted, layout.Interval{From: c.out(i.From), To: c.out(i.To)})
	}
	if t.Units == 0 {
		return out
	}
	for _, g := range t.Gaps {
		if g.To-g.From < longHold || g.From <= begin {
			continue
		}
		out.Present = append(out.Present, layout.Interval{From: c.out(begin), To: c.out(g.From)})
		begin = g.To
	}
	out.Present = append(out.Present, layout.Interval{From: c.out(begin), To: c.out(t.End)})
	return out
}

// loudness is what the mix measured, by peer.
func (c *composer) loudness(sound soundMade) []layout.Loudness {
	peer := map[string]string{}
	for _, t := range c.index.Tracks {
		peer[t.Track.ID] = t.Track.PeerID
	}
	var out []layout.Loudness
	for i, id := range sound.Tracks {
		if i >= len(sound.Levels) {
			break
		}
		l := layout.Loudness{PeerID: peer[id], Levels: make([]float64, len(sound.Levels[i]))}
		for k, v := range sound.Levels[i] {
			l.Levels[k] = float64(v)
			if v <= -1000 {
				l.Levels[k] = math.Inf(-1)
			}
		}
		out = append(out, l)
	}
	return out
}
