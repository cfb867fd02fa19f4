package catalog

import (
	"encoding/json"
	"time"
)

// BackfillState says whether a backfill goes on.
type BackfillState string

// The states of a backfill.
const (
	BackfillRunning BackfillState = "running" // items are queued as the rate allows
	BackfillStopped BackfillState = "stopped" // somebody stopped it; it can be resumed
	BackfillDone    BackfillState = "done"    // every item is done, skipped or failed
)

// Backfill is an order to make many assets again. Its items say which, and how
// far each is.
type Backfill struct {
	// ID is 24 hex digits; the store gives one to a backfill that has none.
	ID string `json:"id"`
	// CreatedAt is when the backfill was ordered; the store sets it when it is
	// zero.
	CreatedAt time.Time `json:"created_at"`
	// Selection says how the assets were chosen: JSON that the catalog keeps and
	// does not read. It is empty or valid JSON.
	Selection json.RawMessage `json:"selection,omitempty"`
	// Options is what the jobs are given: JSON as Selection.
	Options json.RawMessage `json:"options,omitempty"`
	// Rate is how many jobs are queued each second at most; 0 is without limit.
	Rate float64 `json:"rate"`
	// MaxInFlight is how many jobs are queued or run at a time at most; 0 is
	// without limit.
	MaxInFlight int `json:"max_in_flight"`
	// State says whether the backfill goes on; "" means BackfillRunning.
	State BackfillState `json:"state"`
}

// BackfillItemState says how far an item of a backfill is.
type BackfillItemState string

// The states of an item. The last three are final.
const (
	ItemPending BackfillItemState = "pending" // nothing was done yet
	ItemQueued  BackfillItemState = "queued"  // its job was added
	ItemDone    BackfillItemState = "done"    // its job has made it again
	ItemSkipped BackfillItemState = "skipped" // there was nothing to do; Reason says why
	ItemFailed  BackfillItemState = "failed"  // its job failed, or could not be added; Reason says why
)

// BackfillItemStates returns all states of items, in the order of their life.
func BackfillItemStates() []BackfillItemState {
	return []BackfillItemState{ItemPending, ItemQueued, ItemDone, ItemSkipped, ItemFailed}
}

// BackfillItem is one asset of a backfill. Assets of one capture share a job.
type BackfillItem struct {
	// BackfillID is the id of the backfill.
	BackfillID string `json:"backfill_id"`
	// AssetID is the id of the asset that is to be made again.
	AssetID string `json:"asset_id"`
	// JobID is the id of the job that makes it again, or "" while there is none.
	JobID string `json:"job_id,omitempty"`
	// State says how far the item is.
	State BackfillItemState `json:"state"`
	// Reason says in one line why the item was skipped or has failed, or is "".
	Reason string `json:"reason,omitempty"`
}

// BackfillCount is how many items of a backfill are in a state for a reason.
type BackfillCount struct {
	// State is the state of the items.
	State BackfillItemState `json:"state"`
	// Reason is their reason, or "".
	Reason string `json:"reason,omitempty"`
	// Count is their number.
	Count int64 `json:"count"`
}
