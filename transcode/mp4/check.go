package mp4

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// Severity says how much a finding weighs.
type Severity byte

// The severities of the design's checklist.
const (
	Must     Severity = 'M' // a rule of the specification is broken
	Should   Severity = 'S' // a recommendation is not followed
	Practice Severity = 'P' // players or people are known to stumble over it
)

// Finding is one fault that Check has found.
type Finding struct {
	// Number is the check's number in the design's list for progressive MP4, 41 to 47.
	Number   int
	Severity Severity
	Detail   string
}

// String gives the finding as one line.
func (f Finding) String() string { return fmt.Sprintf("%d %c %s", f.Number, f.Severity, f.Detail) }

// perNumber is how many findings of one number are listed in full.
const perNumber = 8

type checker struct {
	r        io.ReaderAt
	size     int64
	m        *Movie
	findings []Finding
	count    map[int]int
}

func (c *checker) add(number int, severity Severity, format string, args ...any) {
	c.count[number]++
	if c.count[number] <= perNumber {
		c.findings = append(c.findings, Finding{Number: number, Severity: severity, Detail: fmt.Sprintf(format, args...)})
	}
}

// Check holds a progressive MP4 of the given size against section E of the
// conformance checklist (41 to 47) and returns what it finds, in the list's
// order; of each number the first eight findings. The error tells that the file
// could not be read as a progressive MP4 at all. It reads the headers of all
// H.264 and H.265 samples, and needs a few megabytes of memory at any length.
func Check(r io.ReaderAt, size int64) ([]Finding, error) {
	m, err := Read(r, size)
	if err != nil {
		return nil, err
	}
	c := &checker{r: r, size: size, m: m, count: map[int]int{}}
	c.order()
	var chunks []chunkSpan
	longest := int64(0)
	for _, t := range m.Tracks {
		spans, info := c.samples(t)
		chunks = append(chunks, spans...)
		c.counts(t)
		c.edits(t, &info)
		c.roll(t)
		longest = max(longest, t.HeaderDuration)
	}
	if m.Duration != longest {
		c.add(42, Must, "mvhd lasts %d ticks, the longest track %d", m.Duration, longest)
	}
	if m.Timescale < 1000 {
		c.add(45, Practice, "the movie timescale %d is too coarse for start offsets", m.Timescale)
	}
	c.overlap(chunks)
	c.interleave(chunks)
	slices.SortStableFunc(c.findings, func(a, b Finding) int { return a.Number - b.Number })
	return c.findings, nil
}

// order is check 41.
func (c *checker) order() {
	moov, mdat := -1, -1
	for i, b := range c.m.top {
		switch {
		case b.kind == "moov" && moov < 0:
			moov = i
		case b.kind == "mdat" && mdat < 0:
			mdat = i
		}
	}
	if mdat >= 0 && moov > mdat {
		c.add(41, Practice, "moov comes after mdat")
	}
	if len(c.m.top) == 0 || c.m.top[0].kind != "ftyp" {
		c.add(41, Practice, "the file does not begin with ftyp")
	} else if !slices.Contains(c.m.Brands, "isom") && !slices.Contains(c.m.Brands, "mp42") {
		c.add(41, Practice, "ftyp names neither isom nor mp42")
	}
}

// counts is the part of check 42 that compares table lengths.
func (c *checker) counts(t *MovieTrack) {
	var samples, ticks uint64
	for cur := t.stts.cursor(t.r); ; {
		n, ok := cur.next()
		if !ok {
			break
		}
		delta, _ := cur.next()
		samples += uint64(n)
		ticks += uint64(n) * uint64(delta)
	}
	if samples != uint64(t.SampleCount) {
		c.add(42, Must, "track %d: stts has %d samples, stsz %d", t.ID, samples, t.SampleCount)
	}
	if ticks != uint64(t.MediaDuration) {
		c.add(42, Must, "track %d: stts lasts %d ticks, mdhd %d", t.ID, ticks, t.MediaDuration)
	}
	if t.ctts.present {
		c.composition(t)
	}
	c.chunkTable(t)
	edited := rescale(t.MediaDuration, t.Timescale, c.m.Timescale)
	tolerance := int64(1)
	if len(t.Edits) > 0 {
		edited, tolerance = 0, 0
		for _, e := range t.Edits {
			edited += e.Duration
		}
	}
	if d := t.HeaderDuration - edited; d > tolerance || d < -tolerance {
		c.add(42, Must, "track %d: tkhd lasts %d movie ticks, the edits %d", t.ID, t.HeaderDuration, edited)
	}
}

// composition compares ctts with the sample count and its version with its
// values (42, 43).
func (c *checker) composition(t *MovieTrack) {
	var samples uint64
	negative := false
	for cur := t.ctts.cursor(t.r); ; {
		n, ok := cur.next()
		if !ok {
			break
		}
		v, _ := cur.next()
		samples += uint64(n)
		negative = negative || int32(v) < 0
	}
	if samples != uint64(t.SampleCount) {
		c.add(42, Must, "track %d: ctts has %d samples, stsz %d", t.ID, samples, t.SampleCount)
	}
	if negative && t.ctts.version == 0 {
		c.add(43, Must, "track %d: ctts version 0 has negative offsets", t.ID)
	}
	if !negative && t.ctts.version > 0 {
		c.add(43, Should, "track %d: ctts version %d has no negative offset", t.ID, t.ctts.version)
	}
}

// chunkTable checks stsc and the chunk offsets (41, 42).
func (c *checker) chunkTable(t *MovieTrack) {
	var samples uint64
	var beyond bool
	for w := t.chunkWalk(); ; {
		off, n, ok := w.next()
		if !ok {
			break
		}
		samples += uint64(n)
		beyond = beyond || off > math.MaxUint32
	}
	if samples != uint64(t.SampleCount) {
		c.add(42, Must, "track %d: the chunks hold %d samples, stsz has %d", t.ID, samples, t.SampleCount)
	}
	if t.stco.width == 8 && !beyond {
		c.add(41, Practice, "track %d: co64 although all offsets fit into 32 bits", t.ID)
	}
	last := uint32(0)
	for cur := t.stsc.cursor(t.r); ; {
		first, ok := cur.next()
		if !ok {
			break
		}
		cur.next()
		cur.next()
		if first <= last || first > t.stco.count || last == 0 && first != 1 {
			c.add(42, Must, "track %d: stsc entry for chunk %d after %d of %d", t.ID, first, last, t.stco.count)
			break
		}
		last = first
	}
}

// roll is check 47.
func (c *checker) roll(t *MovieTrack) {
	if t.Audio != nil && t.Audio.Codec == "mp4a" && !t.Roll {
		c.add(47, Practice, "track %d: AAC without a roll group of distance -1", t.ID)
	}
}
