package capture

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The years that a capture's times may lie in. They keep every difference inside
// a time.Duration; NTP times of senders may go back to the epoch of NTP.
const (
	minYear    = 1970
	minNTPYear = 1900
	maxYear    = 2199
)

// maxSeconds bounds durations and offsets in a manifest: seven days.
const maxSeconds = 7 * 24 * time.Hour

// ffmpegTime is the form that FFmpeg's HLS muxer writes into
// EXT-X-PROGRAM-DATE-TIME: a zone offset without the colon of RFC 3339.
const ffmpegTime = "2006-01-02T15:04:05.999999999Z0700"

// Time is a wall-clock time of the manifest, in UTC with nanoseconds. The zero
// value means that the manifest does not give it.
type Time struct {
	time.Time
	// text is what the manifest says when it is not a time. Decoding keeps it
	// instead of failing, because only the checks know the field's full name.
	text string
}

// At returns t as a manifest time in UTC.
func At(t time.Time) Time { return Time{Time: t.UTC().Round(0)} }

// ParseTime reads RFC 3339 with up to nine fraction digits, or FFmpeg's form of
// it with the zone as +0000.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, ffmpegTime} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not an RFC 3339 time", clip(s))
}

// UnmarshalJSON reads a time; null and the empty string mean that there is none.
func (t *Time) UnmarshalJSON(data []byte) error {
	*t = Time{}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		t.text = clip(string(data))
		return nil
	}
	if s == "" {
		return nil
	}
	parsed, err := ParseTime(s)
	if err != nil {
		t.text = clip(s)
		return nil
	}
	t.Time = parsed
	return nil
}

// problem says why the time cannot be used, or "" if it can (or is not given).
func (t Time) problem(firstYear int) string {
	switch {
	case t.text != "":
		return fmt.Sprintf("%q is not an RFC 3339 time", t.text)
	case !t.IsZero() && (t.Year() < firstYear || t.Year() > maxYear):
		return fmt.Sprintf("year %d is outside %d to %d", t.Year(), firstYear, maxYear)
	}
	return ""
}

// IsZero reports whether the manifest gives no time. A text that is not a time
// is not "no time".
func (t Time) IsZero() bool { return t.text == "" && t.Time.IsZero() }

// usable reports whether the manifest gives a time that could be read.
func (t Time) usable() bool { return t.text == "" && !t.Time.IsZero() }

// String returns the time as RFC 3339, or what the manifest says in its place.
func (t Time) String() string {
	if t.text != "" {
		return t.text
	}
	return t.Format(time.RFC3339Nano)
}

// Seconds is a length of time that the manifest writes as a decimal number of
// seconds; it is kept as a Duration, rounded to the nanosecond.
type Seconds struct {
	time.Duration
	text string // what the manifest says when it is not a usable length
}

// UnmarshalJSON reads a JSON number of seconds. Up to the seven days that are
// allowed, a float64 is exact to far less than the nanosecond it is rounded to.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	*s = Seconds{}
	text := string(data)
	if text == "null" {
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) > maxSeconds.Seconds() {
		s.text = clip(text)
		return nil
	}
	s.Duration = time.Duration(math.Round(f * float64(time.Second)))
	return nil
}

// MarshalJSON writes the exact decimal number of seconds.
func (s Seconds) MarshalJSON() ([]byte, error) {
	sign, ns := "", s.Nanoseconds()
	if ns < 0 {
		sign, ns = "-", -ns
	}
	whole, frac := ns/int64(time.Second), ns%int64(time.Second)
	text := fmt.Sprintf("%s%d.%09d", sign, whole, frac)
	return []byte(strings.TrimSuffix(strings.TrimRight(text, "0"), ".")), nil
}

// IsZero reports whether the manifest gives no length, or zero.
func (s Seconds) IsZero() bool { return s.text == "" && s.Duration == 0 }

// problem says why the length cannot be used, or "" if it can.
func (s Seconds) problem() string {
	switch {
	case s.text != "":
		return fmt.Sprintf("%s is not a number of seconds up to %d", s.text, int64(maxSeconds.Seconds()))
	case s.Duration < 0:
		return fmt.Sprintf("%v is negative", s.Duration)
	}
	return ""
}

// clip bounds a piece of the manifest for use in a message.
func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
