package hls

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"rushes/transcode/mp4"
)

// PackageResult tells what a VOD package consists of.
type PackageResult struct {
	// Master is the name of the multivariant playlist.
	Master string
	// Segments is the number of segments of each track.
	Segments int
	// TargetDuration is EXT-X-TARGETDURATION, in seconds.
	TargetDuration int64
	// Poster and Thumbnails name the poster and the WebVTT file of the storyboard, empty when there are none.
	Poster, Thumbnails string
}

// variant is a layer in the multivariant playlist.
type variant struct {
	r             *rendition
	result        *LayerResult
	iframePeak    int64
	iframeAverage int64
}

// publish writes the playlists, the multivariant one last.
func (w *writer) publish(ctx context.Context, res *Result) error {
	var all []*rendition
	var variants []*variant
	for i, v := range w.tracks {
		if v.pack != nil {
			all = append(all, v.pack)
			variants = append(variants, &variant{r: v.pack, result: &res.Layers[i]})
		}
	}
	if w.sound != nil {
		all = append(all, w.sound)
	}
	for _, r := range all {
		if err := r.close(); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return &InputError{What: "VOD package", Reason: "there is nothing to play"}
	}
	p := newPlaylists(w.t, all)
	res.Package = &PackageResult{Master: masterName, Segments: len(w.t.cuts), TargetDuration: p.target}
	sheets, err := w.storyboard(ctx, p, res)
	if err != nil {
		return err
	}
	sink := w.out.Package.Sink
	for _, r := range all {
		if err := store(ctx, sink, r.path(mediaName), p.media(r)); err != nil {
			return err
		}
	}
	for _, v := range variants {
		list, entries := p.iframes(v.r)
		v.iframePeak, v.iframeAverage = bitRates(entries, p.target)
		if err := store(ctx, sink, v.r.path(iframeName), list); err != nil {
			return err
		}
	}
	return store(ctx, sink, masterName, w.master(p, variants, sheets))
}

// goodStart is the bit rate with which players should begin (Apple HLS authoring 1.32), in bit/s.
const goodStart = 2_000_000

// channelsOf is how many channels the sound has: by its own configuration, because sample entries often say 2 whatever
// there is.
func channelsOf(a *mp4.Audio) int {
	t := trackInfo{channels: a.Channels}
	t.audioConfig(a.Config)
	return t.channels
}

// master is the multivariant playlist (RFC 8216bis, 4.4.6).
func (w *writer) master(p *playlists, variants []*variant, sheets []byte) []byte {
	var soundPeak, soundAverage int64
	soundCodec := ""
	if w.sound != nil {
		soundPeak, soundAverage = bitRates(w.sound.segments, p.target)
		soundCodec = w.sound.codecs()
	}
	var out bytes.Buffer
	out.WriteString("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	if w.sound != nil {
		fmt.Fprintf(&out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",LANGUAGE=%s,DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"%d\",URI=%s\n",
			quoted(languageOf(&w.sound.spec)), channelsOf(w.sound.spec.Audio), quoted(w.sound.path(mediaName)))
	}
	for _, v := range variants {
		v.measure(p, soundPeak, soundAverage, soundCodec)
	}
	slices.SortStableFunc(variants, func(a, b *variant) int { return b2i(b.first(variants)) - b2i(a.first(variants)) })
	for _, v := range variants {
		l := v.result
		fmt.Fprintf(&out, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=%s,RESOLUTION=%dx%d,FRAME-RATE=%d.%03d",
			l.Bandwidth, l.AverageBandwidth, quoted(l.Codecs), l.Width, l.Height, l.FrameRate/1000, l.FrameRate%1000)
		if w.sound != nil {
			out.WriteString(",AUDIO=\"audio\"")
		}
		fmt.Fprintf(&out, ",CLOSED-CAPTIONS=NONE\n%s\n", v.r.path(mediaName))
	}
	for _, v := range variants {
		fmt.Fprintf(&out, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=%s,RESOLUTION=%dx%d,URI=%s\n",
			v.iframePeak, v.iframeAverage, quoted(v.r.codecs()), v.result.Width, v.result.Height, quoted(v.r.path(iframeName)))
	}
	if len(variants) == 0 {
		fmt.Fprintf(&out, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=%s,AUDIO=\"audio\"\n%s\n",
			soundPeak, soundAverage, quoted(soundCodec), w.sound.path(mediaName))
	}
	out.Write(sheets)
	return out.Bytes()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// first reports whether a variant is the one with which players should begin.
func (v *variant) first(all []*variant) bool {
	best := slices.MinFunc(all, func(a, b *variant) int {
		return cmp.Or(cmp.Compare(distance(a), distance(b)), cmp.Compare(a.r.dir, b.r.dir))
	})
	return best == v
}

func distance(v *variant) int64 {
	d := v.result.Bandwidth - goodStart
	if d < 0 {
		return -d
	}
	return d
}

// measure fills in what a variant is, with its sound.
func (v *variant) measure(p *playlists, soundPeak, soundAverage int64, soundCodec string) {
	peak, average := bitRates(v.r.segments, p.target)
	l := v.result
	l.Dir = v.r.dir
	l.Bandwidth, l.AverageBandwidth = peak+soundPeak, average+soundAverage
	l.FrameRate = v.r.frames.milli
	l.Codecs = v.r.codecs()
	if soundCodec != "" {
		l.Codecs += "," + soundCodec
	}
	l.Width, l.Height = v.r.picture()
}

// codecOf is a track's part of the CODECS attribute (RFC 6381).
func codecOf(t *mp4.Track) string {
	if t.Video != nil {
		c := t.Video.Config
		return fmt.Sprintf("avc1.%02x%02x%02x", c[1], c[2], c[3])
	}
	return fmt.Sprintf("mp4a.40.%d", audioObjectType(t.Audio.Config))
}

func languageOf(t *mp4.Track) string {
	if len(t.Language) == 3 && strings.ToLower(t.Language) == t.Language {
		return t.Language
	}
	return "und"
}

// newNames hands out folder names.
func newNames(taken ...string) *names {
	n := &names{used: make(map[string]bool)}
	for _, s := range taken {
		n.used[s] = true
	}
	return n
}

type names struct{ used map[string]bool }

const maxName = 40

// unique makes a name of letters, digits, '-' and '_' that was not handed out before.
func (n *names) unique(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() == maxName {
			break
		}
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			b.WriteRune(r)
		}
	}
	base := cmp.Or(b.String(), "layer")
	name := base
	for i := 2; n.used[strings.ToLower(name)]; i++ { // some stores do not tell cases apart
		name = fmt.Sprintf("%s-%d", base, i)
	}
	n.used[strings.ToLower(name)] = true
	return name
}
