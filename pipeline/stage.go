package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Stage is one step of a job. Run is idempotent: after a failure or a kill it is
// called again, in another process perhaps.
type Stage interface {
	// Name is unique in the job: lower-case letters, digits, '-', '_' and '.'.
	Name() string
	// Run does the work. It returns soon after ctx ends.
	Run(ctx context.Context, run *Run) error
}

// StageFunc returns a stage that runs fn every time; fn must be harmless to run
// twice.
func StageFunc(name string, fn func(ctx context.Context, run *Run) error) Stage {
	return stageFunc{name: name, fn: fn}
}

type stageFunc struct {
	name string
	fn   func(ctx context.Context, run *Run) error
}

func (s stageFunc) Name() string                            { return s.name }
func (s stageFunc) Run(ctx context.Context, run *Run) error { return s.fn(ctx, run) }

// Made is a stage that makes a value of type T once and remembers it in the job's
// scratch folder. Later stages read it with Value. It belongs to one job and is
// not safe for concurrent use.
type Made[T any] struct {
	name  string
	key   func() (string, error)
	fn    func(ctx context.Context, run *Run) (T, error)
	value T
}

// Make returns a stage that makes a T. key says, when the stage's turn comes, what
// the result depends on (see ContentKey); if a result with that key is in the
// scratch folder, fn is not called.
func Make[T any](name string, key func() (string, error), fn func(ctx context.Context, run *Run) (T, error)) *Made[T] {
	return &Made[T]{name: name, key: key, fn: fn}
}

// Name returns the stage's name.
func (m *Made[T]) Name() string { return m.name }

// Value returns what the stage has made, or the zero value before it has run.
func (m *Made[T]) Value() T { return m.value }

// Run takes the remembered value or makes it.
func (m *Made[T]) Run(ctx context.Context, run *Run) error {
	key, err := m.key()
	if err != nil {
		return fmt.Errorf("content key: %w", err)
	}
	value, reused, err := Remember(ctx, run, m.name, key, m.fn)
	if err != nil {
		return err
	}
	m.value = value
	run.setReused(reused)
	return nil
}

// Remember returns the value that is stored in the run's scratch folder under name
// and key, or calls fn and stores what it returns. It is the unit of resuming: fn
// finds the folder Scratch.Dir(name) empty, and everything in it is on the disk
// before the value is stored. Different names may be remembered from several
// goroutines at once.
func Remember[T any](ctx context.Context, run *Run, name, key string,
	fn func(ctx context.Context, run *Run) (T, error)) (value T, reused bool, err error) {
	if done, err := run.Scratch.Done(name, key, &value); err != nil || done {
		return value, done, err
	}
	var zero T
	if err := run.Scratch.Reset(name); err != nil {
		return zero, false, err
	}
	if value, err = fn(ctx, run); err != nil {
		return zero, false, err
	}
	if err := run.Scratch.MarkDone(name, key, value); err != nil {
		return zero, false, err
	}
	return value, false, nil
}

// ContentKey returns a digest (64 hex digits) of the JSON of its parts: the same
// parts give the same key in every process. Parts that JSON leaves out, such as
// unexported fields, do not count.
func ContentKey(parts ...any) (string, error) {
	text, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("content key of %d parts: %w", len(parts), err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
