package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"rushes/catalog"
)

// The sources of captures (capture.md).
const (
	sourceBeam = "beam"
	sourceLive = "live-stream"
)

// publishStage is the stage that puts the bytes into the store: what fails in
// it is the store's fault.
const publishStage = "publish"

// message is one thing to tell.
type message struct {
	eventType string
	// subject is what is told of: two messages of one subject are the same.
	subject string
	assetID string
	data    data
}

// payload is how a message is stored.
type payload struct {
	AppID string          `json:"app_id,omitempty"`
	Data  json.RawMessage `json:"data"`
}

// messages returns what there is to tell of a job that came to its end: what
// could not be made, then what was made. Assets are those of the job.
func messages(event catalog.Event, job catalog.Job, assets []catalog.Asset) []message {
	t := teller{event: event, job: job}
	slices.SortFunc(assets, func(a, b catalog.Asset) int { return cmp.Compare(a.ID, b.ID) })
	if job.Source == sourceLive {
		t.live(assets)
	} else {
		t.each(assets)
	}
	if event.State == catalog.JobFailed && !t.failed {
		t.jobFailed()
	}
	slices.SortStableFunc(t.messages, func(a, b message) int { return cmp.Compare(rank(a), rank(b)) })
	return t.messages
}

// rank puts failures first: who only keeps the last word of a capture ends with
// what there is.
func rank(m message) int {
	if strings.HasSuffix(m.eventType, ".success") {
		return 1
	}
	return 0
}

// teller collects messages.
type teller struct {
	event    catalog.Event
	job      catalog.Job
	messages []message
	failed   bool // a failure has been told
}

func (t *teller) ids(assetID string) ids {
	return ids{
		RoomID: t.job.RoomID, SessionID: t.job.SessionID, TemplateID: t.job.TemplateID,
		RecordingID: t.job.ID, JobID: t.job.RecordingID, AssetID: assetID,
	}
}

// made tells of a completed asset, which never changes: once.
func (t *teller) made(eventType, assetID string, d data) {
	t.messages = append(t.messages, message{eventType, eventType + "/" + assetID, assetID, d})
}

// missed tells of what could not be made this time.
func (t *teller) missed(eventType, assetID string, d data) {
	t.failed = true
	t.messages = append(t.messages, message{eventType, eventType + "/" + assetID + "/" + t.event.ID, assetID, d})
}

// each tells of the assets one by one.
func (t *teller) each(assets []catalog.Asset) {
	for _, a := range assets {
		switch a.Status {
		case catalog.AssetCompleted:
			t.completed(a)
		case catalog.AssetFailed:
			t.assetFailed(a)
		}
	}
}

func (t *teller) completed(a catalog.Asset) {
	m := a.Metadata
	switch a.Type {
	case catalog.RoomComposite:
		d := &beamRecording{ids: t.ids(a.ID), file: fileOf(a), CreatedAt: a.CreatedAt}
		d.MaxWidth, d.MaxHeight = size(a)
		d.StartedAt, d.StoppedAt = t.span(a)
		t.made(BeamRecordingSuccess, a.ID, d)
	case catalog.RoomCompositeLegacy:
		t.made(RecordingSuccess, a.ID, &sessionRecording{ids: t.ids(a.ID), file: fileOf(a), session: t.session()})
	case catalog.TrackAsset:
		t.made(TrackRecordingSuccess, a.ID, &trackRecording{ids: t.ids(a.ID), track: trackOf(m), file: fileOf(a)})
	case catalog.StreamAsset:
		t.made(StreamRecordingSuccess, a.ID, &streamRecording{ids: t.ids(a.ID), stream: streamOf(m), file: fileOf(a)})
	}
}

func (t *teller) assetFailed(a catalog.Asset) {
	reason := cmp.Or(a.Error, &catalog.AssetError{})
	switch a.Type {
	case catalog.TrackAsset:
		t.missed(TrackRecordingFailure, a.ID, &trackFailure{ids: t.ids(a.ID), track: trackOf(a.Metadata), ErrorMessage: reason.Message})
	case catalog.StreamAsset:
		t.missed(StreamRecordingFailure, a.ID, &streamFailure{ids: t.ids(a.ID), stream: streamOf(a.Metadata), ErrorMessage: reason.Message})
	default:
		t.captureFailed(a.ID, reason, "")
	}
}

// jobFailed tells of a job that failed without a failed asset.
func (t *teller) jobFailed() {
	t.captureFailed("", cmp.Or(t.event.Error, &catalog.AssetError{}), t.event.Stage)
}

// captureFailed tells that a capture, or what was to be made of all of it, has
// failed, in the words that its source has for it.
func (t *teller) captureFailed(assetID string, reason *catalog.AssetError, stage string) {
	switch t.job.Source {
	case sourceBeam, sourceLive:
		d := &failure{ids: t.ids(assetID), ErrorType: "INTERNAL_ERROR", ErrorMessage: reason.Message}
		if stage == publishStage {
			d.ErrorType = "UPLOAD_ERROR"
		}
		eventType := BeamFailure
		if t.job.Source == sourceLive {
			eventType = HLSFailure
		}
		t.missed(eventType, assetID, d)
	default:
		d := &sessionFailure{ids: t.ids(assetID), Error: reason.Message, ErrorType: "PROCESSING_CMD_ERROR", session: t.session()}
		switch {
		case stage == publishStage:
			d.ErrorType = "CLOUD_ACCESS_ERROR"
		case reason.Kind == "bad-input":
			d.ErrorType = "INPUT_ERROR"
		}
		t.missed(RecordingFailed, assetID, d)
	}
}

// live tells of all that was made of a live stream at once.
func (t *teller) live(assets []catalog.Asset) {
	d := &hlsRecording{ids: t.ids(""), SingleFiles: []layer{}, Thumbnails: []picture{}}
	told := 0
	for _, a := range assets {
		switch {
		case a.Status == catalog.AssetFailed:
			t.assetFailed(a)
			continue
		case a.Status != catalog.AssetCompleted:
			continue
		case a.Type == catalog.RoomVOD:
			d.HLSVODAssetID, d.HLSVODPath, d.HLSVODSize = a.ID, a.Path, a.Size
		case a.Type == catalog.RoomComposite:
			w, h := size(a)
			d.SingleFiles = append(d.SingleFiles, layer{
				AssetID: a.ID, Layer: a.Metadata.Layer, RecordingPath: a.Path, Size: a.Size, Width: w, Height: h,
			})
		default:
			continue
		}
		told++
		w, h := size(a)
		d.MaxWidth, d.MaxHeight = max(d.MaxWidth, w), max(d.MaxHeight, h)
		d.Duration = max(d.Duration, seconds(a.Duration))
		if d.RecordingCreatedAt.Before(a.CreatedAt) {
			d.RecordingCreatedAt = a.CreatedAt
		}
		start, stop := t.span(a)
		if d.StartedAt.IsZero() || start.Before(d.StartedAt) {
			d.StartedAt = start
		}
		if d.StoppedAt.Before(stop) {
			d.StoppedAt = stop
		}
		for _, key := range a.Thumbnails {
			d.Thumbnails = append(d.Thumbnails, picture{AssetID: a.ID, Offset: thumbnailOffset(key), Location: key})
		}
	}
	slices.SortStableFunc(d.SingleFiles, func(a, b layer) int {
		return cmp.Or(cmp.Compare(len(a.Layer), len(b.Layer)), cmp.Compare(a.Layer, b.Layer))
	})
	if told > 0 {
		// A further making of the same job is another event.
		t.messages = append(t.messages, message{HLSRecordingSuccess, HLSRecordingSuccess + "/" + t.event.ID, "", d})
	}
}

// span is when the recording that the asset is of began and ended. The
// recorder's word goes before the media's.
func (t *teller) span(a catalog.Asset) (start, stop time.Time) {
	start, stop = t.job.StartedAt, t.job.StoppedAt
	if start.IsZero() {
		start = a.StartedAt
	}
	if stop.IsZero() && !a.StartedAt.IsZero() {
		stop = a.StartedAt.Add(a.Duration)
	}
	return start, stop
}

func (t *teller) session() session {
	return session{SessionStartedAt: t.job.StartedAt, SessionStoppedAt: t.job.StoppedAt}
}

func size(a catalog.Asset) (width, height int) {
	if r := a.Metadata.Resolution; r != nil {
		return r.Width, r.Height
	}
	return a.Metadata.MaxWidth, a.Metadata.MaxHeight
}

func trackOf(m catalog.Metadata) track {
	return track{PeerID: m.PeerID, StreamID: m.StreamID, TrackID: m.TrackID, TrackType: m.TrackType}
}

func streamOf(m catalog.Metadata) stream {
	return stream{PeerID: m.PeerID, StreamID: m.StreamID, UserID: m.UserID, StreamType: m.StreamType}
}

// thumbnailOffset reads the offset, in whole seconds, out of a key that
// catalog.ThumbnailPath has built; 0 where there is none.
func thumbnailOffset(key string) int64 {
	base := strings.TrimSuffix(path.Base(key), path.Ext(key))
	ms, err := strconv.ParseInt(base[strings.LastIndexByte(base, '-')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return seconds(time.Duration(ms) * time.Millisecond)
}

// announce turns the event into deliveries.
func (d *Deliverer) announce(ctx context.Context, event catalog.Event) error {
	job, err := d.store.JobByID(ctx, event.JobID)
	if errors.Is(err, catalog.ErrNotFound) { // deleted meanwhile: there is nothing to tell
		return d.store.Announce(ctx, event, nil)
	}
	if err != nil {
		return err
	}
	assets, err := d.assets(ctx, job.ID)
	if err != nil {
		return err
	}
	deliveries, err := d.deliveries(event, job, messages(event, job, assets))
	if err != nil {
		return err
	}
	return d.store.Announce(ctx, event, deliveries)
}

// assets returns all assets of the job, also those that a newer job has
// replaced meanwhile.
func (d *Deliverer) assets(ctx context.Context, jobID string) ([]catalog.Asset, error) {
	var all []catalog.Asset
	filter := catalog.Filter{JobID: jobID, Superseded: true, Limit: catalog.MaxPage}
	for {
		page, err := d.store.ListAssets(ctx, filter)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < filter.Limit {
			return all, nil
		}
		filter.After = page[len(page)-1].ID
	}
}

// deliveries addresses the messages to the endpoints that want them.
func (d *Deliverer) deliveries(event catalog.Event, job catalog.Job, messages []message) ([]catalog.Delivery, error) {
	var all []catalog.Delivery
	for n, m := range messages {
		raw, err := json.Marshal(m.data)
		if err == nil {
			raw, err = json.Marshal(payload{AppID: job.AppID, Data: raw})
		}
		if err != nil {
			return nil, fmt.Errorf("%s of job %s: %w", m.eventType, job.ID, err)
		}
		for _, e := range d.endpoints {
			if !e.wants(job.AppID, m.eventType) {
				continue
			}
			all = append(all, catalog.Delivery{
				Endpoint: e.Name, EventID: fmt.Sprintf("%s-%d", event.ID, n), Subject: m.subject, Type: m.eventType,
				Lane: event.CaptureKey, At: event.At, Number: n, JobID: job.ID, AssetID: m.assetID, Payload: raw,
			})
		}
	}
	return all, nil
}
