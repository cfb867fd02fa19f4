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
// It is safe for concurrent use. The zero value has no capacity: whatever costs
// anything runs alone.
type Admission struct {
	capacity Capacity

	mu    sync.Mutex
	used  Capacity
	held  int       // admitted and not released
	alone bool      // who is admitted is larger than the machine
	queue list.List // of *applicant, the first one longest
}

// weight is what a cost counts for: the whole machine, and alone, if it is larger
// in either way.
type weight struct {
	Capacity
	alone bool
}

// applicant waits for room.
type applicant struct {
	weight   weight
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
	mine := a.weigh(cost)
	a.mu.Lock()
	if a.queue.Len() == 0 && a.fits(mine) {
		a.take(mine)
		a.mu.Unlock()
		return nil
	}
	me := &applicant{weight: mine, admitted: make(chan struct{})}
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
		a.give(mine)
	default:
		a.queue.Remove(place)
	}
	a.admit() // who stood behind may fit
	return notAdmitted(cost, ctx.Err())
}

// TryAcquire takes the cost if there is room and nobody waits, and reports
// whether it did.
func (a *Admission) TryAcquire(cost catalog.Cost) bool {
	mine := a.weigh(cost)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queue.Len() > 0 || !a.fits(mine) {
		return false
	}
	a.take(mine)
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

func (a *Admission) weigh(cost catalog.Cost) weight {
	if cost.CPU > a.capacity.CPU || cost.Memory > a.capacity.Memory {
		return weight{a.capacity, true}
	}
	return weight{Capacity{CPU: max(cost.CPU, 0), Memory: max(cost.Memory, 0)}, false}
}

func (a *Admission) fits(w weight) bool {
	if w.alone || a.alone {
		return a.held == 0
	}
	return w.CPU <= a.capacity.CPU-a.used.CPU && w.Memory <= a.capacity.Memory-a.used.Memory
}

func (a *Admission) take(w weight) {
	a.held++
	a.alone = w.alone
	a.used.CPU += w.CPU
	a.used.Memory += w.Memory
}

func (a *Admission) give(w weight) {
	a.held--
	a.alone = false // who is alone gives back alone
	a.used.CPU -= w.CPU
	a.used.Memory -= w.Memory
}

// admit lets in from the front of the queue as many as fit.
func (a *Admission) admit() {
	for first := a.queue.Front(); first != nil; first = a.queue.Front() {
		next, ok := first.Value.(*applicant)
		if !ok || !a.fits(next.weight) {
			return
		}
		a.queue.Remove(first)
		a.take(next.weight)
		close(next.admitted)
	}
}

func notAdmitted(cost catalog.Cost, err error) error {
	return fmt.Errorf("waiting for %d thousandths of a core and %d bytes of memory: %w", cost.CPU, cost.Memory, err)
}
