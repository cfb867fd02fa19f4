package layout

import (
	"errors"
	"fmt"
)

// InputError says which field of the request or session cannot be used, why, and what to do. The input is
// wrong, not Rushes: a retry does not help.
type InputError struct {
	// Field is the name of the field, such as "width" or "regions[1].show".
	Field string
	// Reason says what is wrong, without a full stop.
	Reason string
	// Hint says what to do about it; may be empty.
	Hint string
}

// Error returns one line: field, reason and what to do.
func (e *InputError) Error() string {
	s := e.Field + ": " + e.Reason
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// BadInput reports true; pipeline.KindOf looks for it.
func (e *InputError) BadInput() bool { return true }

// maxProblems bounds how many problems are listed: a program that writes requests repeats its mistake.
const maxProblems = 20

// problems collects what is wrong, so that the user sees everything at once.
type problems struct{ list []error }

func (p *problems) add(field, hint, reason string, args ...any) {
	if len(p.list) < maxProblems {
		p.list = append(p.list, &InputError{Field: field, Reason: fmt.Sprintf(reason, args...), Hint: hint})
	}
}

func (p *problems) err() error { return errors.Join(p.list...) }

// quote shows a value from outside in one short line.
func quote(s string) string {
	const limit = 60
	if len(s) > limit {
		return fmt.Sprintf("%.*q…", limit, s)
	}
	return fmt.Sprintf("%q", s)
}
