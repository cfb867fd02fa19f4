package pipeline

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"rushes/catalog"
)

// Capacity is what a machine has for jobs.
type Capacity struct {
	// CPU is in thousandths of a core.
	CPU int
	// Memory is in bytes.
	Memory int64
}

// Admission lets jobs begin as long as the machine has room for what they cost,
// in processor time and in memory. It keeps the order in which they came: behind
// a big job that waits, small ones wait as well, so that the big one is not put
// off for ever. A cost that is larger than the whole machine is admitted when
// nothing else runs, and then alone.
//
// It is safe for concurrent use. The zero value has no capacity and admits one
// job at a time.
type Admission struct {
	capacity Capacity

	mu    sync.Mutex
	used  Capacity
	held  int       // admitted and not released
	queue list.List // of *applicant, the first one longest
}

// applicant waits for room.
type applicant struct {
	cost     Capacity
	admitted chan struct{} // closed when it has got it
}

// NewAdmission returns an admission to a machine of that capacity.
func NewAdmission(capacity Capacity) *Admission { return &Admission{capacity: capacity} }

// Capacity returns what there is in all.
func (a *Admission) Capacity() Capacity { return a.capacity }

// InUse returns what is given out. A job that is larger than the machine counts
// as the whole machine.
func (a *Admission) InUse() Capacity {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used
}

// Acquire waits until there is room for the cost and everybody who came before
// has been let in. The caller then owes a Release of the same cost. When ctx ends
// first, nothing is taken, and the error wraps the context's.
func (a *Admission) Acquire(ctx context.Context, cost catalog.Cost) error {
	if err := ctx.Err(); err != nil {
		return notAdmitted(cost, err)
	}
	weight := a.weigh(cost)
	a.mu.Lock()
	if a.queue.Len() == 0 && a.fits(weight) {
		a.take(weight)
		a.mu.Unlock()
		return nil
	}
	me := &applicant{cost: weight, admitted: make(chan struct{})}
	place := a.queue.PushBack(me)
	a.mu.Unlock()

	select {
	case <-me.admitted:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-me.admitted: // in the same moment: it goes back
		a.give(weight)
	default:
		a.queue.Remove(place)
	}
	a.admit() // who stood behind may fit
	return notAdmitted(cost, ctx.Err())
}

// TryAcquire takes the cost if there is room and nobody waits, and reports
// whether it did.
func (a *Admission) TryAcquire(cost catalog.Cost) bool {
	weight := a.weigh(cost)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queue.Len() > 0 || !a.fits(weight) {
		return false
	}
	a.take(weight)
	return true
}

// Release gives back what an Acquire or a successful TryAcquire of the same cost
// has taken. Every one of them is released exactly once.
func (a *Admission) Release(cost catalog.Cost) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.give(a.weigh(cost))
	a.admit()
}

// Waiting returns how many wait for room.
func (a *Admission) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.queue.Len()
}

// weigh returns what a cost counts for: the whole machine if it is larger in
// either way.
func (a *Admission) weigh(cost catalog.Cost) Capacity {
	if cost.CPU > a.capacity.CPU || cost.Memory > a.capacity.Memory {
		return a.capacity
	}
	return Capacity{CPU: max(cost.CPU, 0), Memory: max(cost.Memory, 0)}
}

// fits reports whether there is room. Who needs the whole machine waits for those
// that cost nothing, too.
func (a *Admission) fits(weight Capacity) bool {
	if weight == a.capacity {
		return a.held == 0
	}
	return weight.CPU <= a.capacity.CPU-a.used.CPU && weight.Memory <= a.capacity.Memory-a.used.Memory
}

func (a *Admission) take(weight Capacity) {
	a.held++
	a.used.CPU += weight.CPU
	a.used.Memory += weight.Memory
}

func (a *Admission) give(weight Capacity) {
	a.held--
	a.used.CPU -= weight.CPU
	a.used.Memory -= weight.Memory
}

// admit lets in from the front of the queue as many as fit.
func (a *Admission) admit() {
	for first := a.queue.Front(); first != nil; first = a.queue.Front() {
		next, ok := first.Value.(*applicant)
		if !ok || !a.fits(next.cost) {
			return
		}
		a.queue.Remove(first)
		a.take(next.cost)
		close(next.admitted)
	}
}

func notAdmitted(cost catalog.Cost, err error) error {
	return fmt.Errorf("waiting for %d thousandths of a core and %d bytes of memory: %w", cost.CPU, cost.Memory, err)
}
