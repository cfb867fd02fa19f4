package capture

import (
	"fmt"
	"strings"
)

func (c *checker) sfu() {
	m := c.m
	if !c.count("peers", len(m.Peers), maxPeers) || !c.count("tracks", len(m.Tracks), maxTracks) {
		return
	}
	if len(m.Tracks) == 0 {
		c.problems.add("tracks", "list the tracks that were recorded", "missing")
	}
	peers := make(map[string]bool, len(m.Peers))
	for i := range m.Peers {
		c.peer(fmt.Sprintf("peers[%d].", i), &m.Peers[i])
		peers[m.Peers[i].ID] = true
	}
	seen := make(map[string]int, len(m.Tracks))
	for i := range m.Tracks {
		t, field := &m.Tracks[i], fmt.Sprintf("tracks[%d].", i)
		c.track(field, t)
		if first, twice := seen[t.ID]; twice && t.ID != "" {
			c.problems.add(field+"id", "give every track an id of its own, and list a rotated recording's files in one track",
				"%s is also the id of tracks[%d]", quote(t.ID), first)
		}
		seen[t.ID] = i
		if !peers[t.PeerID] && t.PeerID != "" {
			c.defect(DefectUnknownPeer, t.ID, "%speer_id: no peer %s is listed", field, quote(t.PeerID))
		}
	}
	c.sortEvents()
}

func (c *checker) id(field, value string) {
	switch {
	case value == "":
		c.problems.add(field, "write the id that the session uses", "missing")
	case len(value) > maxIDLength:
		c.problems.add(field, "", "longer than %d bytes", maxIDLength)
	}
}

func (c *checker) peer(field string, p *Peer) {
	c.id(field+"id", p.ID)
	c.doubtful(field+"joined_at", "", &p.JoinedAt, minYear)
	c.doubtful(field+"left_at", "", &p.LeftAt, minYear)
	if p.JoinedAt.IsZero() {
		p.JoinedAt = c.m.StartedAt
	}
	if !p.LeftAt.IsZero() && p.LeftAt.Before(p.JoinedAt.Time) {
		c.defect(DefectBadTime, "", "%sleft_at: %s is before joined_at; left out of account", field, p.LeftAt)
		p.LeftAt = Time{}
	}
}

func (c *checker) track(field string, t *Track) {
	c.id(field+"id", t.ID)
	c.id(field+"peer_id", t.PeerID)
	switch t.Kind {
	case KindAudio, KindVideo:
	case "":
		c.problems.add(field+"kind", `use "audio" or "video"`, "missing")
	default:
		c.problems.add(field+"kind", `use "audio" or "video"`, "%s is not a kind of track", quote(string(t.Kind)))
	}
	if t.Source == "" {
		t.Source = sourceRegular
	}
	if len(t.StreamID) > maxIDLength {
		c.problems.add(field+"stream_id", "", "longer than %d bytes", maxIDLength)
	}
	if t.StreamID == "" && t.PeerID != "" {
		t.StreamID = t.PeerID + "-" + sourceRegular
		if t.Screen() {
			t.StreamID = t.PeerID + "-" + SourceScreen
		}
	}
	c.notNegative(field+"clock_rate", int64(t.ClockRate))
	if t.ClockRate == 0 {
		t.ClockRate = defaultClockRate(t.Kind, t.Codec)
	}
	if len(t.Files) == 0 {
		c.defect(DefectNoFiles, t.ID, "%sfiles is empty", field)
	}
	c.files(field+"files", t.ID, t.Files)
	for i := range t.Files {
		f := &t.Files[i]
		if f.StartedAt.IsZero() && !f.Format.arrivalTimed() {
			c.defect(DefectMissingField, t.ID, "%sfiles[%d].started_at is missing", field, i)
			if i == 0 {
				f.StartedAt = c.m.StartedAt
			}
		}
	}
	c.mutes(field, t)
}

// defaultClockRate is the RTP clock rate of the codec's payload format (RFC 7587
// for Opus, RFC 3551 for G.711, 90 kHz for video).
func defaultClockRate(kind Kind, codec string) int {
	switch strings.ToUpper(codec) {
	case "PCMU", "PCMA":
		return 8000
	case "OPUS":
		return 48000
	}
	if kind == KindAudio {
		return 48000
	}
	return 90000
}

func (c *checker) mutes(field string, t *Track) {
	keep := t.Muted[:0]
	for i, in := range t.Muted {
		at := fmt.Sprintf("%smuted[%d]", field, i)
		c.doubtful(at+".from", t.ID, &in.From, minYear)
		c.doubtful(at+".to", t.ID, &in.To, minYear)
		if in.From.IsZero() || (!in.To.IsZero() && !in.From.Before(in.To.Time)) {
			c.defect(DefectBadTime, t.ID, "%s has no beginning before its end; left out of account", at)
			continue
		}
		keep = append(keep, in)
	}
	t.Muted = keep
}

// files checks the files of a beam capture or of one track; their paths are
// checked with all others.
func (c *checker) files(list, track string, files []File) {
	if !c.count(list, len(files), maxFiles) {
		return
	}
	for i := range files {
		f, field := &files[i], fmt.Sprintf("%s[%d].", list, i)
		f.Format = Format(strings.ToLower(string(f.Format)))
		if f.Format == "" {
			f.Format = formatOfExt(f.Path)
		}
		// A beam's media is probed; a dump without a known format has no reader.
		if track != "" && !f.Format.known() {
			c.defect(DefectUnknownFormat, track, "%sformat: %s is not a format we know", field, quote(string(f.Format)))
		}
		if f.Format == FormatH264 && f.Frames == "" {
			c.defect(DefectNoTimestamps, track, "%sframes is missing; the access units are spread evenly", field)
		}
		c.doubtful(field+"started_at", track, &f.StartedAt, minYear)
		c.doubtful(field+"ended_at", track, &f.EndedAt, minYear)
		if !f.EndedAt.IsZero() && f.EndedAt.Before(f.StartedAt.Time) {
			c.defect(DefectBadTime, track, "%sended_at: %s is before started_at; left out of account", field, f.EndedAt)
			f.EndedAt = Time{}
		}
		c.size(field, f.Width, f.Height)
		c.senderReports(field, track, f)
	}
}

// senderReports drops reports without a usable NTP time.
func (c *checker) senderReports(field, track string, f *File) {
	keep := f.SenderReports[:0]
	for i, r := range f.SenderReports {
		at := fmt.Sprintf("%ssender_reports[%d]", field, i)
		c.doubtful(at+".ntp", track, &r.NTP, minNTPYear)
		c.doubtful(at+".received_at", track, &r.ReceivedAt, minYear)
		if r.NTP.IsZero() {
			continue
		}
		keep = append(keep, r)
	}
	f.SenderReports = keep
}
