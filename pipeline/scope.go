package pipeline

import (
	"context"
	"sync"
)

// scope is a group of contexts that end together, with a cause. One that begins
// after the scope has ended has ended, too. The zero value is ready to use.
type scope struct {
	mu      sync.Mutex
	next    int
	members map[int]context.CancelCauseFunc
	cause   error
}

// enter returns a context of the scope. The caller calls leave when done with it;
// ctx may end it as well.
func (s *scope) enter(ctx context.Context) (_ context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		cancel(s.cause)
		return ctx, func() {}
	}
	if s.members == nil {
		s.members = make(map[int]context.CancelCauseFunc)
	}
	id := s.next
	s.next++
	s.members[id] = cancel
	return ctx, func() {
		s.mu.Lock()
		delete(s.members, id)
		s.mu.Unlock()
		cancel(nil)
	}
}

// end ends all contexts of the scope. The first cause stays.
func (s *scope) end(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause = cause
	for _, cancel := range s.members {
		cancel(cause)
	}
}
