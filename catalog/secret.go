package catalog

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every printed form of a Secret shows.
const redacted = "**redacted**"

// Secret is a string that must not be printed: a password, a signing key, a
// token. Every verb of package fmt, log/slog, JSON and text marshalling show
// "**redacted**" instead of it; only [Secret.Reveal] gives the value.
//
// Package fmt cannot call methods of unexported struct fields, so a Secret
// belongs into an exported field of any struct that may be printed.
type Secret string

var (
	_ fmt.Formatter  = Secret("")
	_ slog.LogValuer = Secret("")
)

// Reveal returns the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String returns the redacted form.
func (s Secret) String() string { return redacted }

// GoString returns the redacted form, for %#v.
func (s Secret) GoString() string { return redacted }

// Format writes the redacted form for every verb, also those (%x, %q, %d) for
// which package fmt would otherwise look at the string itself.
func (s Secret) Format(f fmt.State, _ rune) {
	// fmt.State has nowhere to report a failed write to; fmt's own caller sees it.
	_, _ = io.WriteString(f, redacted)
}

// LogValue returns the redacted form for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns the redacted form, for every encoder that asks for text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns the redacted form as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
