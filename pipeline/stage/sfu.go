package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// codecNames are libav's names of the manifest's codecs.
var codecNames = map[string]string{"VP8": "vp8", "VP9": "vp9", "AV1": "av1", "H264": "h264", "OPUS": "opus", "PCMU": "pcm_mulaw", "PCMA": "pcm_alaw", "AAC": "aac"}

// trackProducts is a track asset for each track of an sfu capture.
func trackProducts(ctx context.Context, m *material) ([]*product, error) {
	ix, err := m.index(ctx)
	if err != nil {
		return nil, err
	}
	var all []*product
	for i, t := range ix.Tracks {
		all = append(all, trackProduct(m.capture, m.settings, t, i))
	}
	return all, nil
}

func trackProduct(c *capture.Capture, set Settings, t *capture.TrackIndex, n int) *product {
	m, track := c.Manifest, t.Track
	container := catalog.WebM
	switch track.Codec {
	case "H264", "AAC", "PCMU", "PCMA":
		container = catalog.MP4
	}
	reencode := m.Outputs.TrackFormat == "mp4"
	if reencode {
		container = catalog.MP4
	}
	p := &product{
		item: item{
			Name: fmt.Sprintf("track-%03d", n),
			File: "track" + string(container),
			Asset: row{RoomID: m.RoomID, SessionID: m.SessionID, Type: catalog.TrackAsset,
				Key: catalog.AssetKey(c.Key(), catalog.TrackAsset, track.PeerID, track.StreamID, track.ID), StartedAt: m.StartedAt.Time,
				Metadata: catalog.Metadata{TrackID: track.ID, StreamID: track.StreamID, PeerID: track.PeerID, TrackType: string(track.Kind),
					Defects: trackDefects(c, t)}},
		},
		options: []any{set.Video, set.Audio, m.Outputs.TrackFormat},
	}
	p.render = func(ctx context.Context, _ *pipeline.Run, f *os.File, progress func(pipeline.Progress)) (rendered, error) {
		if container == catalog.WebM {
			return renderWebM(ctx, c, t, f, progress)
		}
		return renderTracks(ctx, c, set, tracksOf{t}, !reencode, f, progress)
	}
	return p
}

// numbered tells places apart when one is taken.
func numbered(id string, n int) string {
	if n == 0 {
		return id
	}
	return fmt.Sprintf("%s-%d", id, n)
}

// trackDefects are the defects of a track: those of the manifest that name it, and those of its files.
func trackDefects(c *capture.Capture, t *capture.TrackIndex) []catalog.Defect {
	var own []capture.Defect
	for _, d := range c.Defects {
		if d.Track == t.Track.ID {
			own = append(own, d)
		}
	}
	return captureDefects(append(own, t.Defects...))
}

// streamProducts is a stream asset for each stream of each peer.
func streamProducts(ctx context.Context, m *material) ([]*product, error) {
	ix, err := m.index(ctx)
	if err != nil {
		return nil, err
	}
	at := map[[2]string]int{}
	var groups []tracksOf
	for _, t := range ix.Tracks {
		key := [2]string{t.Track.PeerID, t.Track.StreamID}
		if _, ok := at[key]; !ok {
			at[key] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[key]] = append(groups[at[key]], t)
	}
	var all []*product
	for i, g := range groups {
		all = append(all, streamProduct(m.capture, m.settings, g, i))
	}
	return all, nil
}

func streamProduct(c *capture.Capture, set Settings, g tracksOf, n int) *product {
	m, first := c.Manifest, g[0].Track
	p := &product{
		item: item{
			Name: fmt.Sprintf("stream-%03d", n),
			File: "stream.mp4",
			Asset: row{RoomID: m.RoomID, SessionID: m.SessionID, Type: catalog.StreamAsset,
				Key: catalog.AssetKey(c.Key(), catalog.StreamAsset, first.PeerID, first.StreamID), StartedAt: m.StartedAt.Time,
				Metadata: catalog.Metadata{StreamID: first.StreamID, PeerID: first.PeerID, UserID: userOf(c, first.PeerID), StreamType: g.streamType(), Defects: []catalog.Defect{}}},
		},
		options: []any{set.Video, set.Audio},
	}
	for _, t := range g {
		p.Asset.Metadata.Defects = append(p.Asset.Metadata.Defects, trackDefects(c, t)...)
	}
	p.render = func(ctx context.Context, _ *pipeline.Run, f *os.File, progress func(pipeline.Progress)) (rendered, error) {
		return renderTracks(ctx, c, set, g, true, f, progress)
	}
	return p
}

func userOf(c *capture.Capture, peer string) string {
	for i := range c.Manifest.Peers {
		if p := &c.Manifest.Peers[i]; p.ID == peer && p.UserID != "" {
			return p.UserID
		}
	}
	return ""
}

// renderWebM copies a track.
func renderWebM(ctx context.Context, c *capture.Capture, t *capture.TrackIndex, f *os.File, progress func(pipeline.Progress)) (rendered, error) {
	if t.Units == 0 {
		return rendered{}, nothingIn(t)
	}
	in := trackInput(c, tracksOf{t})
	res, err := transcode.WriteWebM(ctx, *in, f, progressOf(t.Begin, t.End, progress))
	if err != nil {
		return rendered{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return rendered{}, fmt.Errorf("size of the track's file: %w", err)
	}
	out := rendered{Size: info.Size(), Duration: res.Duration, Start: res.Start, Width: in.Width, Height: in.Height}
	dropped := heldCounts(res.Held)
	if res.Overlapping > 0 {
		dropped["overlapping"] = res.Overlapping
	}
	out.Defects = lossDefects(t, res.Held)
	out.Sync, err = json.Marshal([]syncReport{newSyncReport(t, dropped, res.Silence)})
	return out, err
}

// renderTracks makes one MP4 of the tracks of a stream, or of one.
func renderTracks(ctx context.Context, c *capture.Capture, set Settings, g tracksOf, copying bool, f *os.File, progress func(pipeline.Progress)) (rendered, error) {
	video, audio := g.playable(capture.KindVideo), g.playable(capture.KindAudio)
	if len(video)+len(audio) == 0 {
		return rendered{}, nothingIn(g[0])
	}
	rec := transcode.TracksRecording{Copy: copying, VideoSet: set.Video, AudioSet: set.Audio}
	if len(video) > 0 {
		rec.Video = trackInput(c, video)
	}
	if len(audio) > 0 {
		rec.Audio = trackInput(c, audio)
	}
	begin, end := g.span()
	rec.Progress = progressOf(begin, end, progress)
	res, err := transcode.ConvertTracks(ctx, rec, f)
	if err != nil {
		return rendered{}, err
	}
	out := rendered{Size: res.Size, Duration: res.Duration, Start: res.Start, Width: res.Width, Height: res.Height, Defects: mediaDefects(res.Defects)}
	var reports []syncReport
	for i, t := range append(video, audio...) {
		held := transcode.Held{}
		if i == 0 && len(video) > 0 {
			held = res.Held // of all the stream's pictures
		}
		out.Defects = append(out.Defects, lossDefects(t, held)...)
		reports = append(reports, newSyncReport(t, heldCounts(held), 0))
	}
	out.Sync, err = json.Marshal(reports)
	return out, err
}

// nothingIn is the error of a track of which nothing can be played.
func nothingIn(t *capture.TrackIndex) error {
	reason := "nothing in it can be played"
	for _, d := range t.Defects {
		reason = d.Detail
	}
	file := t.Track.ID
	if len(t.Track.Files) > 0 {
		file = t.Track.Files[0].Path
	}
	return &capture.InputError{File: file, Reason: fmt.Sprintf("track %s: %s", t.Track.ID, reason)}
}

func progressOf(begin, end time.Duration, report func(pipeline.Progress)) func(time.Duration) {
	return func(at time.Duration) {
		report(pipeline.Progress{Done: int64(at - begin), Total: int64(max(end-begin, 1)), Media: at - begin})
	}
}
