package webhook

import (
	"fmt"
	"time"

	"rushes/catalog"
)

// The types of events (api.md, "Webhooks").
const (
	BeamRecordingSuccess   = "beam.recording.success"
	BeamFailure            = "beam.failure"
	HLSRecordingSuccess    = "hls.recording.success"
	HLSFailure             = "hls.failure"
	RecordingSuccess       = "recording.success"
	RecordingFailed        = "recording.failed"
	TrackRecordingSuccess  = "track.recording.success"
	TrackRecordingFailure  = "track.recording.failure"
	StreamRecordingSuccess = "stream.recording.success"
	StreamRecordingFailure = "stream.recording.failure"
)

// EventTypes returns all types of events.
func EventTypes() []string {
	return []string{
		BeamRecordingSuccess, BeamFailure, HLSRecordingSuccess, HLSFailure, RecordingSuccess, RecordingFailed,
		TrackRecordingSuccess, TrackRecordingFailure, StreamRecordingSuccess, StreamRecordingFailure,
	}
}

// linker makes the address of an object of an asset.
type linker func(assetID, key string) (string, error)

// data is what an event says. It is stored without addresses; link fills them
// in.
type data interface {
	link(address linker) error
}

// newData returns an empty value of the type's data.
func newData(eventType string) (data, error) {
	switch eventType {
	case BeamRecordingSuccess:
		return &beamRecording{}, nil
	case BeamFailure, HLSFailure:
		return &failure{}, nil
	case HLSRecordingSuccess:
		return &hlsRecording{}, nil
	case RecordingSuccess:
		return &sessionRecording{}, nil
	case RecordingFailed:
		return &sessionFailure{}, nil
	case TrackRecordingSuccess:
		return &trackRecording{}, nil
	case TrackRecordingFailure:
		return &trackFailure{}, nil
	case StreamRecordingSuccess:
		return &streamRecording{}, nil
	case StreamRecordingFailure:
		return &streamFailure{}, nil
	}
	return nil, fmt.Errorf("no event has the type %q", eventType)
}

// ids are in the data of every event.
type ids struct {
	RoomID     string `json:"room_id"`
	SessionID  string `json:"session_id"`
	TemplateID string `json:"template_id"`
	// RecordingID is what GET /v2/recordings/{id} takes: the id of our job.
	RecordingID string `json:"recording_id"`
	// JobID is the recorder's id of its own job, as in 100ms' events.
	JobID string `json:"job_id,omitempty"`
	// AssetID is what GET /v2/recording-assets/{id} takes; not 100ms'.
	AssetID string `json:"asset_id,omitempty"`
}

// file is one recorded file.
type file struct {
	RecordingPath         string `json:"recording_path"`
	RecordingPresignedURL string `json:"recording_presigned_url"`
	Size                  int64  `json:"size"`     // bytes
	Duration              int64  `json:"duration"` // whole seconds
}

func fileOf(a catalog.Asset) file {
	return file{RecordingPath: a.Path, Size: a.Size, Duration: seconds(a.Duration)}
}

func (f *file) link(assetID string, address linker) (err error) {
	f.RecordingPresignedURL, err = address(assetID, f.RecordingPath)
	return err
}

func seconds(d time.Duration) int64 { return int64(d.Round(time.Second) / time.Second) }

// beamRecording is the data of beam.recording.success.
type beamRecording struct {
	ids
	file
	MaxWidth  int       `json:"max_width"`
	MaxHeight int       `json:"max_height"`
	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"`
	StoppedAt time.Time `json:"stopped_at,omitzero"`
}

func (d *beamRecording) link(address linker) error { return d.file.link(d.AssetID, address) }

// failure is the data of beam.failure and hls.failure.
type failure struct {
	ids
	ErrorType    string `json:"error_type"`
	ErrorMessage string `json:"error_message"`
}

func (*failure) link(linker) error { return nil }

// session is when the session of an SFU recording was.
type session struct {
	SessionStartedAt time.Time `json:"session_started_at,omitzero"`
	SessionStoppedAt time.Time `json:"session_stopped_at,omitzero"`
}

// sessionRecording is the data of recording.success.
type sessionRecording struct {
	ids
	file
	session
}

func (d *sessionRecording) link(address linker) error { return d.file.link(d.AssetID, address) }

// sessionFailure is the data of recording.failed.
type sessionFailure struct {
	ids
	Error     string `json:"error"`
	ErrorType string `json:"error_type"`
	session
}

func (*sessionFailure) link(linker) error { return nil }

// track is which track an event is of.
type track struct {
	PeerID    string `json:"peer_id"`
	StreamID  string `json:"stream_id"`
	TrackID   string `json:"track_id"`
	TrackType string `json:"track_type"`
}

// trackRecording is the data of track.recording.success.
type trackRecording struct {
	ids
	track
	file
}

func (d *trackRecording) link(address linker) error { return d.file.link(d.AssetID, address) }

// trackFailure is the data of track.recording.failure.
type trackFailure struct {
	ids
	track
	ErrorMessage string `json:"error_message"`
}

func (*trackFailure) link(linker) error { return nil }

// stream is which stream an event is of.
type stream struct {
	PeerID     string `json:"peer_id"`
	StreamID   string `json:"stream_id"`
	UserID     string `json:"user_id,omitempty"`
	StreamType string `json:"stream_type"`
}

// streamRecording is the data of stream.recording.success.
type streamRecording struct {
	ids
	stream
	file
}

func (d *streamRecording) link(address linker) error { return d.file.link(d.AssetID, address) }

// streamFailure is the data of stream.recording.failure.
type streamFailure struct {
	ids
	stream
	ErrorMessage string `json:"error_message"`
}

func (*streamFailure) link(linker) error { return nil }

// hlsRecording is the data of hls.recording.success.
type hlsRecording struct {
	ids
	Duration  int64 `json:"duration"` // whole seconds
	MaxWidth  int   `json:"max_width"`
	MaxHeight int   `json:"max_height"`
	// The fields of the room-vod are there when there is one.
	HLSVODAssetID      string    `json:"hls_vod_asset_id,omitempty"` // not 100ms'
	HLSVODPath         string    `json:"hls_vod_recording_path,omitempty"`
	HLSVODPresignedURL string    `json:"hls_vod_recording_presigned_url,omitempty"`
	HLSVODSize         int64     `json:"hls_vod_recording_size,omitempty"` // bytes
	SingleFiles        []layer   `json:"recording_single_files"`
	Thumbnails         []picture `json:"recording_thumbnails"`
	RecordingCreatedAt time.Time `json:"recording_created_at"`
	StartedAt          time.Time `json:"started_at,omitzero"`
	StoppedAt          time.Time `json:"stopped_at,omitzero"`
}

// layer is the file of one layer of a live stream.
type layer struct {
	AssetID               string `json:"asset_id"`
	Layer                 string `json:"layer"` // "0" is the highest
	RecordingPath         string `json:"recording_path"`
	RecordingPresignedURL string `json:"recording_presigned_url"`
	Size                  int64  `json:"size"` // bytes
	Width                 int    `json:"width"`
	Height                int    `json:"height"`
}

// picture is a thumbnail.
type picture struct {
	AssetID  string `json:"asset_id"` // not 100ms'
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
	Offset   int64  `json:"offset"` // whole seconds
	Location string `json:"location"`
	URL      string `json:"url"`
}

func (d *hlsRecording) link(address linker) (err error) {
	if d.HLSVODPath != "" {
		if d.HLSVODPresignedURL, err = address(d.HLSVODAssetID, d.HLSVODPath); err != nil {
			return err
		}
	}
	for i := range d.SingleFiles {
		f := &d.SingleFiles[i]
		if f.RecordingPresignedURL, err = address(f.AssetID, f.RecordingPath); err != nil {
			return err
		}
	}
	for i := range d.Thumbnails {
		p := &d.Thumbnails[i]
		if p.URL, err = address(p.AssetID, p.Location); err != nil {
			return err
		}
	}
	return nil
}
