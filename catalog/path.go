package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// maxElement bounds an escaped id in bytes. File names end at 255 bytes and
// keys at 1024, of which up to five may be ids.
const maxElement = 160

// Container is the file format of a track asset, as its file name extension.
type Container string

// The containers of track assets (api.md).
const (
	WebM Container = ".webm"
	MP4  Container = ".mp4"
)

// Session is what the storage keys of a capture's assets are built from
// (api.md, "Storage paths"). Its methods are pure: the same session gives the
// same keys. Ids may be any strings; they become single path elements.
type Session struct {
	// RoomID is the recorder's id of the room.
	RoomID string
	// SessionID is the recorder's id of the session.
	SessionID string
	// StartedAt is the start of the capture; its UTC day and its milliseconds
	// since 1970 are parts of the keys.
	StartedAt time.Time
}

// RoomCompositePath returns the key of a browser recording's room-composite.
func (s Session) RoomCompositePath() string {
	return path.Join("beam", escape(s.RoomID), s.day(), s.recording(s.RoomID)+".mp4")
}

// RoomCompositeLegacyPath returns the key of a session's composition.
func (s Session) RoomCompositeLegacyPath() string {
	return path.Join(s.folder(), s.recording(s.SessionID)+".mp4")
}

// TrackPath returns the key of a track asset.
func (s Session) TrackPath(peerID, streamID, trackID string, c Container) string {
	return path.Join(s.folder(), escape(peerID), escape(streamID), escape(trackID)+string(c))
}

// StreamPath returns the key of a stream asset.
func (s Session) StreamPath(peerID, streamID string) string {
	return path.Join(s.folder(), escape(peerID), escape(streamID), escape(streamID)+".mp4")
}

// LayerPath returns the key of the room-composite of one layer of a live
// stream; layer "0" is the highest.
func (s Session) LayerPath(layer string) string {
	return path.Join(s.liveFolder(), "file-recording", s.recording(s.RoomID)+"-"+escape(layer)+".mp4")
}

// VODPath returns the key of a file of the room-vod package. The name is the
// file's path inside the package, with '/', as the packager chose it; it is
// not escaped.
func (s Session) VODPath(name string) string { return s.liveFolder() + "/vod/" + name }

// VODZipPath returns the key of a room-vod package that is one archive.
func (s Session) VODZipPath() string {
	return path.Join(s.liveFolder(), "vod", s.recording(s.RoomID)+".zip")
}

// ThumbnailPath returns the key of the n-th thumbnail of the asset at
// assetPath, taken at offset (kept to the millisecond). The extension is
// ".png" or ".jpg".
func ThumbnailPath(assetPath string, n int, offset time.Duration, extension string) string {
	base := strings.TrimSuffix(assetPath, path.Ext(assetPath))
	return fmt.Sprintf("%s-thumb-%d-%d%s", base, n, offset.Milliseconds(), extension)
}

func (s Session) day() string { return s.StartedAt.UTC().Format("20060102") }

func (s Session) millis() string { return strconv.FormatInt(s.StartedAt.UnixMilli(), 10) }

func (s Session) folder() string {
	return path.Join(escape(s.RoomID), s.day(), escape(s.SessionID))
}

func (s Session) liveFolder() string {
	return path.Join("hls", escape(s.RoomID), s.day(), s.millis())
}

func (s Session) recording(id string) string { return "Rec-" + escape(id) + "-" + s.millis() }

// escape turns any id into one path element: letters, digits, '-' and '_'
// stay, every other byte becomes %XX. No id becomes ".", ".." or nothing, and
// no two ids become the same: the empty one is a lone "%", which the escape of
// another never is, and one too long for a file name ends in "%" and a digest.
func escape(id string) string {
	if id == "" {
		return "%"
	}
	var b strings.Builder
	for _, c := range []byte(id) {
		if plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= maxElement {
		return b.String()
	}
	return shorten(b.String(), id)
}

// shorten keeps the readable start of a long escaped id and makes it unique
// with a digest of the whole. "%-" cannot come from escaping.
func shorten(escaped, id string) string {
	digest := sha256.Sum256([]byte(id))
	tail := "%-" + hex.EncodeToString(digest[:16])
	head := escaped[:maxElement-len(tail)]
	// Do not cut an escape in two.
	if i := strings.LastIndexByte(head, '%'); i >= len(head)-2 && i >= 0 {
		head = head[:i]
	}
	return head + tail
}

func plain(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		return true
	}
	return false
}
