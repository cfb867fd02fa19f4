package catalog

import (
	"encoding/json"
	"time"
)

// Event says that a capture's job came to its end. The store writes it down in
// the transaction that ends the job, so that whoever tells others of it finds
// all of them, also after a crash.
type Event struct {
	// ID is 24 hex digits.
	ID string
	// JobID is the job that ended.
	JobID string
	// CaptureKey is that of the job: events of the same capture are told in the
	// order of their times.
	CaptureKey string
	// State is the final state that the job came to.
	State JobState
	// Stage is the stage that the job ended in.
	Stage string
	// Error is why the job failed; nil otherwise.
	Error *AssetError
	// At is when the job came to its end.
	At time.Time
}

// DeliveryState says how far a delivery is.
type DeliveryState string

// The states of a delivery. A replay brings a delivered or failed one back to
// pending.
const (
	DeliveryPending   DeliveryState = "pending"   // is to be sent, or is being sent
	DeliveryDelivered DeliveryState = "delivered" // the receiver has answered 200
	DeliveryFailed    DeliveryState = "failed"    // all attempts failed; kept for a replay
)

// DeliveryStates returns all states, in the order of a delivery's life.
func DeliveryStates() []DeliveryState {
	return []DeliveryState{DeliveryPending, DeliveryDelivered, DeliveryFailed}
}

// Delivery is one message for one endpoint. It is a plain value.
type Delivery struct {
	// ID names the delivery: 24 hex digits, time-ordered. The store gives it.
	ID string `json:"id"`
	// Endpoint is the name of the endpoint.
	Endpoint string `json:"endpoint"`
	// EventID is the id that the receiver sees: the same at every attempt, in
	// every replay and for every endpoint.
	EventID string `json:"event_id"`
	// Subject says what is told: the store keeps one delivery for each endpoint
	// and subject.
	Subject string `json:"-"`
	// Type is the type of the event, such as "beam.recording.success".
	Type string `json:"type"`
	// Lane groups deliveries of an endpoint that are sent one after the other,
	// in the order of At and Number.
	Lane string `json:"-"`
	// At is when what is told happened.
	At time.Time `json:"event_at"`
	// Number orders deliveries of one time.
	Number int `json:"-"`
	// JobID is the job that is told of.
	JobID string `json:"job_id"`
	// AssetID is the asset that is told of, or "" when it is more than one.
	AssetID string `json:"asset_id,omitempty"`
	// Payload is what the event says, without addresses, which are made for each
	// attempt: valid JSON that the catalog does not read.
	Payload json.RawMessage `json:"payload"`
	// State says how far the delivery is.
	State DeliveryState `json:"state"`
	// Attempts counts the attempts since the delivery was made or replayed.
	Attempts int `json:"attempts"`
	// Claim is raised by whoever takes the delivery; what another one writes
	// then is refused.
	Claim int64 `json:"-"`
	// RunAt is when the delivery is to be sent at the earliest, or, of one that
	// is being sent, when somebody else may take it.
	RunAt time.Time `json:"run_at"`
	// Replay says that the delivery was asked for again.
	Replay bool `json:"is_replay"`
	// Status is the HTTP status of the last answer, or 0.
	Status int `json:"status,omitempty"`
	// Error says why the last attempt failed, or is "".
	Error string `json:"error,omitempty"`
	// CreatedAt is when the delivery was made.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when the delivery was last written.
	UpdatedAt time.Time `json:"updated_at"`
	// DeliveredAt is when the receiver took it, or zero.
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
}

// DeliveryEnd says how an attempt at a delivery ended.
type DeliveryEnd struct {
	// State is what the delivery comes to; DeliveryPending sends it again.
	State DeliveryState
	// After is how long to wait, for DeliveryPending.
	After time.Duration
	// Interrupted says that the attempt was broken off and is not to count.
	Interrupted bool
	// Status is the HTTP status of the answer, or 0 when there was none.
	Status int
	// Error says why the attempt failed; "" when it did not.
	Error string
}

// DeliveryFilter chooses deliveries, as [Filter] chooses assets.
type DeliveryFilter struct {
	// State is a state of deliveries.
	State DeliveryState
	// Endpoint is the name of an endpoint.
	Endpoint string
	// JobID is the id of a job.
	JobID string
	// After is the id of the last delivery of the page before, or "".
	After string
	// Limit is the number of deliveries at most, up to MaxPage; 0 means MaxPage.
	Limit int
}
