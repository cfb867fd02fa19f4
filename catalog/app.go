package catalog

import "time"

// AccessKey is an app's key. Printed, it does not show its secret.
type AccessKey struct {
	// AccessKey names the key; it is no secret.
	AccessKey string `json:"access_key"`
	// AppID is whose key it is.
	AppID string `json:"app_id"`
	// Secret signs the app's tokens.
	Secret Secret `json:"-"`
	// CreatedAt is when the key was made; the store sets it when it is zero.
	CreatedAt time.Time `json:"created_at"`
	// RevokedAt is when the key was revoked, or zero.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// RecordingFilter chooses the jobs that stand for recordings: those of kind
// capture and generation 0, because making a capture again does not make it
// another recording. Empty fields choose all.
type RecordingFilter struct {
	// Live chooses the captures of live streams (source "live-stream"), or else
	// those of all other sources.
	Live bool
	// RoomID is the recorder's id of a room.
	RoomID string
	// SessionID is the recorder's id of a session.
	SessionID string
	// States are the states to choose; none of them chooses all.
	States []JobState
	// After is the id of the last job of the page before, or "".
	After string
	// Limit is the number of jobs at most, up to MaxPage; 0 means MaxPage.
	Limit int
}

// Request is a request to the API that carried an Idempotency-Key, and its
// answer.
type Request struct {
	// AppID and Key say which request it is.
	AppID, Key string
	// Digest is the SHA-256 of what was asked for, in hex digits.
	Digest string
	// Holder names who works at it: 32 hex digits.
	Holder string
	// CreatedAt is when it was reserved.
	CreatedAt time.Time
	// Status is the HTTP status of the answer, or 0 while there is none.
	Status int
	// Body is the answer, JSON.
	Body []byte
}
