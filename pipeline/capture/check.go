package capture

import (
	"fmt"
	"slices"
)

// checker checks one decoded manifest and fills in its defaults.
type checker struct {
	m        *Manifest
	problems problems
	defects  []Defect
}

// maxDefects bounds the list that travels with every asset; the last entry says
// how many there were.
const maxDefects = 1000

func (c *checker) defect(kind DefectKind, track, detail string, args ...any) {
	if len(c.defects) < maxDefects {
		c.defects = append(c.defects, Defect{Kind: kind, Track: track, Detail: fmt.Sprintf(detail, args...)})
	}
}

func (c *checker) manifest() {
	m := c.m
	c.dropForeign()
	c.required("started_at", m.StartedAt, "write the wall-clock time at which recording began")
	c.optional("stopped_at", m.StoppedAt)
	if m.StoppedAt.usable() && m.StartedAt.usable() && m.StoppedAt.Before(m.StartedAt.Time) {
		c.problems.add("stopped_at", "it must not be before started_at",
			"%s is before started_at %s", m.StoppedAt, m.StartedAt)
	}
	c.size("", m.Width, m.Height)
	c.pauses()
	switch m.Source {
	case SourceBeam:
		c.beam()
	case SourceSFU:
		c.sfu()
	case SourceLiveStream:
		c.liveStream()
	}
	c.outputs()
	c.paths()
	c.names()
}

// dropForeign empties the lists that the source does not have; they are unknown
// fields for it, and what is ignored must not be checked or opened.
func (c *checker) dropForeign() {
	m := c.m
	if m.Source != SourceBeam {
		m.Files, m.Width, m.Height = nil, 0, 0
	}
	if m.Source != SourceSFU {
		m.Peers, m.Tracks, m.Events = nil, nil, nil
	}
	if m.Source != SourceLiveStream {
		m.Layers = nil
	}
}

func (c *checker) required(field string, t Time, hint string) {
	if t.IsZero() {
		c.problems.add(field, hint, "missing")
		return
	}
	c.optional(field, t)
}

func (c *checker) optional(field string, t Time) {
	if why := t.problem(minYear); why != "" {
		c.problems.add(field, "write RFC 3339 in UTC, such as 2026-11-22T17:00:00.000Z", "%s", why)
	}
}

// doubtful drops a time that is not vital and cannot be right.
func (c *checker) doubtful(field, track string, t *Time, firstYear int) {
	if why := t.problem(firstYear); why != "" {
		c.defect(DefectBadTime, track, "%s: %s; left out of account", field, why)
		*t = Time{}
	}
}

func (c *checker) size(prefix string, width, height int) {
	c.notNegative(prefix+"width", int64(width))
	c.notNegative(prefix+"height", int64(height))
}

func (c *checker) notNegative(field string, n int64) {
	if n < 0 {
		c.problems.add(field, "", "%d is negative", n)
	}
}

func (c *checker) count(field string, n, limit int) bool {
	if n > limit {
		c.problems.add(field, "", "%d entries, at most %d are allowed", n, limit)
		return false
	}
	return true
}

// pauses checks the pauses one by one; NewTimeline merges and clips them.
func (c *checker) pauses() {
	m := c.m
	if !c.count("paused", len(m.Paused), maxPaused) {
		return
	}
	keep := m.Paused[:0]
	for i, p := range m.Paused {
		field := fmt.Sprintf("paused[%d]", i)
		c.required(field+".from", p.From, "write when the pause began")
		c.optional(field+".to", p.To)
		switch {
		case p.From.usable() && p.To.usable() && !p.From.Before(p.To.Time):
			c.problems.add(field, "a pause's from comes before its to", "from %s is not before to %s", p.From, p.To)
		case p.To.IsZero() && m.StoppedAt.IsZero():
			// Nothing was recorded after it, so there is nothing to cut out.
			c.defect(DefectBadTime, "", "%s: neither the pause nor the session has an end; the pause is left out of account", field)
			continue
		case p.To.IsZero():
			p.To = m.StoppedAt
		}
		keep = append(keep, p)
	}
	m.Paused = keep
}

func (c *checker) beam() {
	m := c.m
	if len(m.Files) == 0 {
		c.problems.add("files", "list the recording's files", "missing")
		return
	}
	c.files("files", "", m.Files)
	if m.Files[0].StartedAt.IsZero() {
		m.Files[0].StartedAt = m.StartedAt
	}
}

func (c *checker) liveStream() {
	m := c.m
	if len(m.Layers) == 0 {
		c.problems.add("layers", "list the stream's renditions", "missing")
		return
	}
	if !c.count("layers", len(m.Layers), maxLayers) {
		return
	}
	seen := make(map[string]int, len(m.Layers))
	for i := range m.Layers {
		l, field := &m.Layers[i], fmt.Sprintf("layers[%d].", i)
		if l.Name == "" {
			l.Name = fmt.Sprintf("%d", i)
		}
		if first, twice := seen[l.Name]; twice {
			c.problems.add(field+"name", "give every layer a name of its own", "%s is also the name of layers[%d]", quote(l.Name), first)
		}
		seen[l.Name] = i
		c.size(field, l.Width, l.Height)
		c.notNegative(field+"bandwidth", l.Bandwidth)
		if l.Playlist == "" && len(l.Segments) == 0 {
			c.defect(DefectNoFiles, l.Name, "layers[%d] has neither a playlist nor segments", i)
		}
		for j := range l.Segments {
			s := &l.Segments[j]
			at := fmt.Sprintf("%ssegments[%d].", field, j)
			c.doubtful(at+"program_date_time", l.Name, &s.ProgramDateTime, minYear)
			if why := s.Duration.problem(); why != "" {
				c.problems.add(at+"duration", "write seconds as a number", "%s", why)
			}
		}
	}
}

// paths checks the text of every file name.
func (c *checker) paths() {
	// map is relative to its segment's folder, so the joined path hides a "..".
	for i := range c.m.Layers {
		for j, s := range c.m.Layers[i].Segments {
			if s.Map == "" {
				continue
			}
			if why := CheckPath(s.Map); why != "" {
				c.problems.add(fmt.Sprintf("layers[%d].segments[%d].map", i, j), pathHint, "%s", why)
				c.m.Layers[i].Segments[j].Map = ""
			}
		}
	}
	for r := range c.m.refs() {
		if why := CheckPath(r.path); why != "" {
			c.problems.add(r.field, pathHint, "%s", why)
		}
	}
}

// names fills in a missing room or session: the media is worth more than its
// label, and "unknown-…" is stable over runs.
func (c *checker) names() {
	m := c.m
	for _, id := range []struct{ field, value string }{
		{"room_id", m.RoomID}, {"session_id", m.SessionID}, {"job_id", m.JobID}, {"template_id", m.TemplateID},
	} {
		if len(id.value) > maxIDLength {
			c.problems.add(id.field, "", "longer than %d bytes", maxIDLength)
		}
	}
	if len(c.problems.list) > 0 || (m.RoomID != "" && m.SessionID != "") {
		return
	}
	unknown := "unknown-" + manifestKey(m)[:12]
	if m.RoomID == "" {
		c.defect(DefectMissingField, "", "room_id is missing; assets are filed under %s", unknown)
	}
	if m.SessionID == "" {
		c.defect(DefectMissingField, "", "session_id is missing; assets are filed under %s", unknown)
	}
	if m.RoomID == "" {
		m.RoomID = unknown
	}
	if m.SessionID == "" {
		m.SessionID = unknown
	}
}

// sortEvents keeps the events that are used, in time order.
func (c *checker) sortEvents() {
	m := c.m
	m.Events = slices.DeleteFunc(m.Events, func(e Event) bool {
		return e.Type != EventActiveSpeaker && e.Type != EventPin && e.Type != EventUnpin
	})
	for i := range m.Events {
		c.doubtful(fmt.Sprintf("events: %s", m.Events[i].Type), "", &m.Events[i].At, minYear)
	}
	m.Events = slices.DeleteFunc(m.Events, func(e Event) bool { return e.At.IsZero() })
	slices.SortStableFunc(m.Events, func(a, b Event) int { return a.At.Compare(b.At.Time) })
}
