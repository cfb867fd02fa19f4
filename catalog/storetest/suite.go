package storetest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

// Opener makes a new, empty catalog and returns what opens it: each call gives
// another handle of the same catalog, which takes the time from now and is
// closed when the test is over. It may be called from several tests at once.
type Opener func(t testing.TB) (open func(now func() time.Time) Store)

// Run tests the catalogs that newCatalog makes, each test one of its own.
func Run(t *testing.T, newCatalog Opener) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*kit)
	}{
		{"AddJob", testAddJob},
		{"AddJobs", testAddJobs},
		{"AddGeneration", testAddGeneration},
		{"JobRefusals", testJobRefusals},
		{"ClaimAtOnce", testClaimAtOnce},
		{"Claim", testClaim},
		{"Seize", testSeize},
		{"Fences", testFences},
		{"Endings", testEndings},
		{"EndingTwice", testEndingTwice},
		{"EndingRefusals", testEndingRefusals},
		{"FanOut", testFanOut},
		{"FanInAtOnce", testFanInAtOnce},
		{"PartsAgain", testPartsAgain},
		{"Cancel", testCancel},
		{"CancelParts", testCancelParts},
		{"Retry", testRetry},
		{"TakeOver", testTakeOver},
		{"TakeOverAtOnce", testTakeOverAtOnce},
		{"TakeOverJoins", testTakeOverJoins},
		{"Outbox", testOutbox},
		{"OutboxLoss", testOutboxLoss},
		{"Leases", testLeases},
		{"ListJobs", testListJobs},
		{"CountJobs", testCountJobs},
		{"Places", testPlaces},
		{"Strays", testStrays},
		{"AssetRoundTrip", testAssetRoundTrip},
		{"RegisterSettles", testRegisterSettles},
		{"RegisterSupersedes", testRegisterSupersedes},
		{"RegisterRefusals", testRegisterRefusals},
		{"RegisterAtOnce", testRegisterAtOnce},
		{"DeleteAsset", testDeleteAsset},
		{"ListAssets", testListAssets},
		{"ListAssetsWhileAdding", testListWhileAdding},
		{"ListRefusals", testListRefusals},
		{"Backfills", testBackfills},
		{"Keys", testKeys},
		{"Rooms", testRooms},
		{"ListOfApps", testListOfApps},
		{"Recordings", testRecordings},
		{"Captures", testCaptures},
		{"Requests", testRequests},
		{"RequestsAtOnce", testRequestsAtOnce},
		{"HostileText", testHostileText},
		{"NothingIsLost", testNothingIsLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(newKit(t, newCatalog))
		})
	}
}

// clock is a time that stands still unless it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// kit is a test with its catalog.
type kit struct {
	*testing.T
	clock *clock
	open  func() Store // another handle
	s     Store
}

func newKit(t *testing.T, newCatalog Opener) *kit {
	c := &clock{now: time.Date(2026, 11, 22, 17, 0, 0, 123456000, time.UTC)}
	open := newCatalog(t)
	k := &kit{T: t, clock: c, open: func() Store { return open(c.Now) }}
	k.s = k.open()
	return k
}

func (k *kit) ctx() context.Context { return k.Context() }

func jobOf(key string) catalog.Job {
	return catalog.Job{CaptureKey: key, CaptureURI: "captures/" + key, RoomID: "room", SessionID: "session", Source: "beam"}
}

// add queues a job with a ticket.
func (k *kit) add(key string) catalog.Job {
	k.Helper()
	j, created, err := k.s.AddJob(k.ctx(), jobOf(key), true)
	require.NoError(k, err)
	require.True(k, created)
	return j
}

func (k *kit) claim(id string) catalog.Job {
	k.Helper()
	j, err := k.s.ClaimJob(k.ctx(), id, "w")
	require.NoError(k, err)
	return j
}

func claimOf(j catalog.Job) catalog.Claim { return catalog.Claim{JobID: j.ID, Fence: j.Fence} }

// begin adds and claims a job.
func (k *kit) begin(key string) catalog.Job {
	k.Helper()
	return k.claim(k.add(key).ID)
}

func (k *kit) end(j catalog.Job, end catalog.Attempt) catalog.Job {
	k.Helper()
	got, err := k.s.EndAttempt(k.ctx(), claimOf(j), end)
	require.NoError(k, err)
	require.Equal(k, k.job(j.ID), got)
	return got
}

func (k *kit) job(id string) catalog.Job {
	k.Helper()
	j, err := k.s.JobByID(k.ctx(), id)
	require.NoError(k, err)
	return j
}

func (k *kit) states(ids ...string) []catalog.JobState {
	k.Helper()
	var states []catalog.JobState
	for _, id := range ids {
		states = append(states, k.job(id).State)
	}
	return states
}

// due returns the ids of the jobs whose tickets are due, in the order of the
// outbox.
func (k *kit) due() []string {
	k.Helper()
	ids := []string{}
	for _, ticket := range k.tickets() {
		ids = append(ids, ticket.JobID)
	}
	return ids
}

func (k *kit) tickets() []catalog.Ticket {
	k.Helper()
	tickets, err := k.s.DueTickets(k.ctx(), 1000)
	require.NoError(k, err)
	return tickets
}

// dispatch gives all due tickets to a queue that keeps none of them.
func (k *kit) dispatch() {
	k.Helper()
	require.NoError(k, k.s.Dispatched(k.ctx(), k.tickets()))
}

func (k *kit) endings(id string) []catalog.Ending {
	k.Helper()
	log, err := k.s.Attempts(k.ctx(), id)
	require.NoError(k, err)
	require.True(k, slices.IsSortedFunc(log, func(a, b catalog.AttemptRecord) int { return cmp.Compare(a.Fence, b.Fence) }))
	endings := []catalog.Ending{}
	for _, a := range log {
		endings = append(endings, a.Ending)
	}
	return endings
}

// ids returns the ids of the jobs.
func ids(jobs []catalog.Job) []string {
	ids := make([]string, 0, len(jobs))
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}
