package capture

import (
	"errors"
	"fmt"
	"strings"
)

// maxProblems bounds how many problems of one manifest are listed: a broken
// recorder repeats the same mistake in every entry.
const maxProblems = 20

// InputError says which part of the input cannot be used, why, and what to do.
// It is the caller's capture that is wrong, not Rushes: a retry does not help.
type InputError struct {
	// Field is the manifest field, such as "files[0].path"; empty when the
	// problem is the file as a whole.
	Field string
	// File is the manifest or media file, as the user named it.
	File string
	// Reason says what is wrong, without a full stop.
	Reason string
	// Hint says what to do about it; may be empty.
	Hint string
	// Err is the cause, if there is one; it is already part of Reason.
	Err error
}

// Error returns one line: file, field, reason and what to do.
func (e *InputError) Error() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{e.File, e.Field, e.Reason} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	s := strings.Join(parts, ": ")
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	// Names come from the user and from manifests; the message stays one line.
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// Unwrap returns the cause, or nil.
func (e *InputError) Unwrap() error { return e.Err }

// BadInput reports true; pipeline.KindOf looks for it.
func (e *InputError) BadInput() bool { return true }

// problems collects what is wrong with one manifest, so that a recorder's author
// sees everything at once.
type problems struct {
	file string
	list []error
	more int
}

func (p *problems) add(field, hint, reason string, args ...any) {
	if len(p.list) >= maxProblems {
		p.more++
		return
	}
	p.list = append(p.list, &InputError{
		File: p.file, Field: field, Reason: fmt.Sprintf(reason, args...), Hint: hint,
	})
}

func (p *problems) err() error {
	if p.more > 0 {
		return errors.Join(append(p.list, &InputError{
			File: p.file, Reason: fmt.Sprintf("and %d more problems", p.more),
		})...)
	}
	return errors.Join(p.list...)
}
