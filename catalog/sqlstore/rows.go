package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// assetRow turns an asset into its row.
func assetRow(a catalog.Asset) (sqlc.Asset, error) {
	thumbnails, err := json.Marshal(a.Thumbnails)
	if err != nil {
		return sqlc.Asset{}, fmt.Errorf("asset %q: thumbnails: %w", a.Key, err)
	}
	metadata, err := json.Marshal(a.Metadata)
	if err != nil {
		return sqlc.Asset{}, fmt.Errorf("asset %q: metadata: %w", a.Key, err)
	}
	kind, message := splitError(a.Error)
	return sqlc.Asset{
		ID: a.ID, JobID: a.JobID, RoomID: a.RoomID, SessionID: a.SessionID,
		Type: string(a.Type), Path: a.Path, Size: a.Size, Duration: int64(a.Duration),
		Status: string(a.Status), CreatedAt: micros(a.CreatedAt), StartedAt: micros(a.StartedAt),
		Thumbnails: string(thumbnails), Metadata: string(metadata),
		ErrorKind: kind, ErrorMessage: message,
		Version: int64(a.Version), Supersedes: a.Supersedes, Software: a.Software, AssetKey: a.Key,
		SupersededBy: a.SupersededBy,
	}, nil
}

// assetFromRow is the inverse of assetRow.
func assetFromRow(r sqlc.Asset) (catalog.Asset, error) {
	a := catalog.Asset{
		ID: r.ID, JobID: r.JobID, RoomID: r.RoomID, SessionID: r.SessionID,
		Type: catalog.AssetType(r.Type), Path: r.Path, Size: r.Size, Duration: time.Duration(r.Duration),
		Status: catalog.AssetStatus(r.Status), CreatedAt: fromMicros(r.CreatedAt), StartedAt: fromMicros(r.StartedAt),
		Version: int(r.Version), Supersedes: r.Supersedes, Software: r.Software, Key: r.AssetKey,
		SupersededBy: r.SupersededBy,
	}
	if a.Status == catalog.AssetFailed {
		a.Error = &catalog.AssetError{Kind: r.ErrorKind, Message: r.ErrorMessage}
	}
	if err := json.Unmarshal([]byte(r.Thumbnails), &a.Thumbnails); err != nil {
		return catalog.Asset{}, fmt.Errorf("asset %s: stored thumbnails: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(r.Metadata), &a.Metadata); err != nil {
		return catalog.Asset{}, fmt.Errorf("asset %s: stored metadata: %w", r.ID, err)
	}
	return a, nil
}

func assetsFromRows(rows []sqlc.Asset) ([]catalog.Asset, error) {
	assets := make([]catalog.Asset, 0, len(rows))
	for _, r := range rows {
		a, err := assetFromRow(r)
		if err != nil {
			return nil, err
		}
		assets = append(assets, a)
	}
	return assets, nil
}

// defectsText writes no defects as an empty array, which is also what it reads
// back as.
func defectsText(defects []catalog.Defect) (string, error) {
	if defects == nil {
		defects = []catalog.Defect{}
	}
	raw, err := json.Marshal(defects)
	return string(raw), err
}

func splitError(e *catalog.AssetError) (kind, message string) {
	if e == nil {
		return "", ""
	}
	return e.Kind, plainText(e.Message)
}

// plainText is the message without what a database may refuse: an error quotes
// whatever was in a file.
func plainText(message string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(message, "\uFFFD"), "\x00", "\uFFFD")
}

// micros is the stored form of a time: microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
