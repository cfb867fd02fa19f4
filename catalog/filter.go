package catalog

import "time"

// MaxPage is the largest number of assets in one page of a list.
const MaxPage = 1000

// Filter chooses assets. An empty field chooses all; several fields choose
// what meets all of them.
type Filter struct {
	// RoomID is the recorder's id of a room.
	RoomID string
	// SessionID is the recorder's id of a session.
	SessionID string
	// JobID is the id of a job.
	JobID string
	// Type is a type of assets.
	Type AssetType
	// Status is a state of assets.
	Status AssetStatus
	// Software is the version of Rushes that made the assets.
	Software string
	// From and Before bound the time of registration: from From on, before
	// Before; zero does not bound.
	From, Before time.Time
	// Superseded chooses the assets that newer ones have replaced, which are
	// left out otherwise.
	Superseded bool
	// After is the id of the last asset of the page before, or "" for the first
	// page. The asset itself need not exist any more.
	After string
	// Limit is the number of assets at most, up to MaxPage; 0 means MaxPage.
	Limit int
}
