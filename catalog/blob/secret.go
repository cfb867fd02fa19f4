package blob

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every printed form of a Secret shows.
const redacted = "**redacted**"

// Secret gives a password or a signing key to the code that needs it, and
// "**redacted**" to everything that prints: package fmt, log/slog, JSON and
// text marshalling. The Reveal method of catalog.Secret is one. A nil Secret
// is the empty one.
type Secret func() string

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s == nil {
		return ""
	}
	return s()
}

// String returns the redacted form.
func (s Secret) String() string { return redacted }

// GoString returns the redacted form, for %#v.
func (s Secret) GoString() string { return redacted }

// Format writes the redacted form for every verb.
func (s Secret) Format(f fmt.State, _ rune) {
	// fmt.State has nowhere to report a failed write to; fmt's own caller sees it.
	_, _ = io.WriteString(f, redacted)
}

// LogValue returns the redacted form for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns the redacted form, for every encoder that asks for text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
