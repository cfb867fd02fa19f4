package hls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rushes/transcode/mp4"
)

// Finding is one fault that Check has found. It can be printed as JSON.
type Finding struct {
	// Number is the point of the design's checklist, 1 to 52.
	Number int `json:"number"`
	// Severity says how much it weighs: a point holds rules of different weight.
	Severity mp4.Severity `json:"-"`
	// File is the name of the file at fault, as the source knows it.
	File string `json:"file"`
	// Line is the line of a playlist or a text, counted from one; 0 when there is none.
	Line int `json:"line,omitempty"`
	// Offset is where in a media file the fault is, in bytes; -1 when no place is known.
	Offset int64 `json:"offset"`
	// Detail is a sentence for a person.
	Detail string `json:"detail"`
}

// String gives the finding as one line: number, severity, place and sentence.
func (f Finding) String() string {
	place := f.File
	switch {
	case f.Line > 0:
		place += fmt.Sprintf(":%d", f.Line)
	case f.Offset >= 0:
		place += fmt.Sprintf("@%d", f.Offset)
	}
	return fmt.Sprintf("%d %c %s: %s", f.Number, f.Severity, place, f.Detail)
}

// CheckOptions bounds what Check reads; the zero value is usable.
type CheckOptions struct {
	// MaxPlaylistBytes is the largest playlist or text that is read; it defaults to 16 MiB.
	MaxPlaylistBytes int64
	// MaxFiles is how many files are opened at most; it defaults to 1,000,000.
	MaxFiles int
}

// ErrCheckLimit is wrapped by the error of Check when an input is larger than its options allow.
var ErrCheckLimit = errors.New("larger than the limits of the check")

const (
	maxCheckedLists    = 256      // playlists that a multivariant playlist may name
	maxCheckedStreams  = 2_000    // variants and renditions of one
	maxCheckedRanges   = 4_096    // EXT-X-DATERANGE of one playlist
	maxCheckedAttrs    = 64       // of one tag
	maxCheckedSegments = 200_000  // of one playlist
	maxCheckedHeader   = 16 << 20 // bytes of a moof or an init segment
	maxCheckedPicture  = 64 << 20 // bytes of a picture
	maxCheckedHeaders  = 10_000   // init segments
	findingsPerPoint   = 5        // of one number and severity in one file
	findingsPerNumber  = 50       // in all files
)

// Check holds an HLS package or a progressive MP4 against the checklist of the design (vod.md). name is the
// multivariant playlist, a media playlist or the MP4 as src knows it. The findings are in the order of the list, of
// each number and severity at most five for one file and fifty in all. The error tells that the input could
// not be read at all (an *InputError), not to the end (ErrCheckLimit), or that ctx ended; the findings up to there are
// given too.
//
// Of a package every playlist is read, and of every segment the boxes, the NAL unit headers of its key pictures or, in
// a transport stream, the headers of all packets. One segment's headers are in memory at a time, and about 200 bytes per
// segment stay. Points 48, 49 and 52 compare with an input that a package does not hold, 50 and 51 need a player: no
// finding has these numbers.
func Check(ctx context.Context, src CheckSource, name string, opt CheckOptions) ([]Finding, error) {
	opt.MaxPlaylistBytes = cmp.Or(opt.MaxPlaylistBytes, 16<<20)
	opt.MaxFiles = cmp.Or(opt.MaxFiles, 1_000_000)
	c := &packageCheck{src: src, opt: opt, count: make(map[findingKey]int), seen: make(map[Finding]bool)}
	err := c.run(ctx, name)
	slices.SortStableFunc(c.findings, func(a, b Finding) int { return cmp.Compare(a.Number, b.Number) })
	return c.findings, err
}

type findingKey struct {
	number   int
	severity mp4.Severity
	file     string
}

// packageCheck is one run of Check.
type packageCheck struct {
	src      CheckSource
	opt      CheckOptions
	findings []Finding
	count    map[findingKey]int
	seen     map[Finding]bool
	opens    int
	lists    map[string]*checkedList // media playlists by name
	order    []*checkedList
	claimed  map[string]*claimedFile // files that byte ranges share out
	headers  map[string]*initHeader
}

func (c *packageCheck) add(f Finding) {
	if c.seen[f] { // segments are read for each playlist that names them
		return
	}
	here, all := findingKey{f.Number, f.Severity, f.File}, findingKey{number: f.Number, severity: f.Severity}
	if c.count[here] == findingsPerPoint || c.count[all] == findingsPerNumber {
		return
	}
	c.seen[f] = true
	c.count[here]++
	c.count[all]++
	if c.count[here] == findingsPerPoint || c.count[all] == findingsPerNumber {
		f.Detail += " (more of the kind are not listed)"
	}
	c.findings = append(c.findings, f)
}

// line adds a finding about a line of a text.
func (c *packageCheck) line(number int, severity mp4.Severity, file string, line int, format string, args ...any) {
	c.add(Finding{Number: number, Severity: severity, File: file, Line: line, Offset: -1, Detail: fmt.Sprintf(format, args...)})
}

// at adds a finding about a place in a media file.
func (c *packageCheck) at(number int, severity mp4.Severity, file string, offset int64, format string, args ...any) {
	c.add(Finding{Number: number, Severity: severity, File: file, Offset: offset, Detail: fmt.Sprintf(format, args...)})
}

// open opens a file and counts it.
func (c *packageCheck) open(ctx context.Context, name string) (File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.opens++; c.opens > c.opt.MaxFiles {
		return nil, fmt.Errorf("hls: checking more than %d files: %w", c.opt.MaxFiles, ErrCheckLimit)
	}
	return c.src.Open(ctx, name)
}

// stops reports whether an error ends the check instead of being a finding.
func stops(err error) bool {
	return errors.Is(err, ErrCheckLimit) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (c *packageCheck) run(ctx context.Context, name string) (err error) {
	f, err := c.open(ctx, name)
	if err != nil {
		if stops(err) {
			return err
		}
		return &InputError{What: fmt.Sprintf("%q", name), Reason: "it cannot be opened", Err: err}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	head := make([]byte, min(16, f.Size()))
	if !readWhole(f, head, 0) {
		return &InputError{What: fmt.Sprintf("%q", name), Reason: "it cannot be read"}
	}
	if !looksLikeBox(head) {
		return c.playlist(ctx, name, f)
	}
	found, err := mp4.Check(f, f.Size())
	if err != nil {
		return &InputError{What: fmt.Sprintf("%q", name), Reason: "it is no progressive MP4", Err: err}
	}
	for _, m := range found {
		c.add(Finding{Number: m.Number, Severity: m.Severity, File: name, Offset: -1, Detail: m.Detail})
	}
	return nil
}

// looksLikeBox reports whether bytes are the beginning of an MP4.
func looksLikeBox(p []byte) bool {
	return len(p) >= 8 && slices.Contains([]string{"ftyp", "moov", "mdat", "free", "skip", "wide", "styp", "moof", "sidx"}, string(p[4:8]))
}

// playlist checks a package by its topmost playlist.
func (c *packageCheck) playlist(ctx context.Context, name string, f File) error {
	text, err := c.readText(f, name)
	if err != nil {
		return err
	}
	if !strings.Contains(strings.ToUpper(string(text[:min(len(text), 4096)])), "#EXT") {
		return &InputError{What: fmt.Sprintf("%q", name), Reason: "it is neither a playlist nor an MP4"}
	}
	c.lists, c.claimed, c.headers = make(map[string]*checkedList), make(map[string]*claimedFile), make(map[string]*initHeader)
	top := c.parseList(name, text)
	if !top.multivariant {
		l := &checkedList{parsedList: top, kind: listMedia}
		if top.iframesOnly {
			l.kind = listIFrames
		}
		c.lists[name], c.order = l, []*checkedList{l}
		return c.media(ctx, nil)
	}
	c.lists[name] = &checkedList{parsedList: top}
	if len(top.streams) > maxCheckedStreams {
		return fmt.Errorf("hls: %q has more than %d variants and renditions: %w", name, maxCheckedStreams, ErrCheckLimit)
	}
	m := c.readMaster(top)
	if err := c.loadLists(ctx, m); err != nil {
		return err
	}
	if err := c.media(ctx, m); err != nil {
		return err
	}
	c.master(m)
	return c.storyboard(ctx, name)
}

// readText reads a playlist or another text whole.
func (c *packageCheck) readText(f File, name string) ([]byte, error) {
	if f.Size() > c.opt.MaxPlaylistBytes {
		return nil, fmt.Errorf("hls: %q has %d bytes, more than %d: %w", name, f.Size(), c.opt.MaxPlaylistBytes, ErrCheckLimit)
	}
	text := make([]byte, f.Size())
	if n, err := f.ReadAt(text, 0); n < len(text) {
		return nil, &InputError{What: fmt.Sprintf("%q", name), Reason: "it cannot be read", Err: err}
	}
	return text, nil
}

// media checks all media playlists, alone and against each other. m is nil without a multivariant playlist.
func (c *packageCheck) media(ctx context.Context, m *checkedMaster) error {
	for _, l := range c.order {
		c.mediaTags(l)
		if err := c.segments(ctx, l); err != nil {
			return err
		}
		if l.kind == listMedia {
			c.independent(l, m)
		}
	}
	for _, l := range c.order {
		c.iframeTimes(l)
		if l.kind == listMedia {
			c.lengths(l)
			c.configs(l)
			c.continuity(l)
		}
		c.dates(l)
	}
	if err := c.tiling(ctx); err != nil {
		return err
	}
	c.across()
	return c.texts(ctx)
}
