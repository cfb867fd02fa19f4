package blob

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxKey is the longest key in bytes; S3 takes no longer one.
	MaxKey = 1024
	// MaxElement is the longest element of a key in bytes; file systems take no
	// longer name.
	MaxElement = 255
)

// CheckKey reports, as an error that wraps ErrInvalidKey, why key cannot name
// an object in any backend. A key is relative, its elements are separated by
// '/', it is valid UTF-8 without control characters or backslashes, no element
// is empty or begins with a dot (so neither "." nor ".." occur, and backends
// have names of their own), and it keeps to MaxKey and MaxElement.
func CheckKey(key string) error {
	if err := checkText(key); err != nil {
		return err
	}
	for element := range strings.SplitSeq(key, "/") {
		if err := checkElement(key, element); err != nil {
			return err
		}
	}
	return nil
}

// CheckPrefix is CheckKey for the prefix of a list: it may be empty, and it may
// end anywhere in a key, also after a '/'.
func CheckPrefix(prefix string) error {
	if err := checkText(prefix); err != nil {
		return err
	}
	rest := prefix
	for {
		element, after, more := strings.Cut(rest, "/")
		if !more && element == "" {
			return nil
		}
		if err := checkElement(prefix, element); err != nil {
			return err
		}
		if !more {
			return nil
		}
		rest = after
	}
}

// checkText holds what is asked of a key as a whole.
func checkText(key string) error {
	switch {
	case len(key) > MaxKey:
		return fmt.Errorf("key of %d bytes, more than %d: %w", len(key), MaxKey, ErrInvalidKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("key %q is not UTF-8: %w", key, ErrInvalidKey)
	case strings.ContainsRune(key, '\\'):
		return fmt.Errorf("key %q has a backslash: %w", key, ErrInvalidKey)
	case strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("key %q has a control character: %w", key, ErrInvalidKey)
	}
	return nil
}

func checkElement(key, element string) error {
	switch {
	case element == "":
		return fmt.Errorf("key %q has an empty element: %w", key, ErrInvalidKey)
	case element[0] == '.':
		return fmt.Errorf("key %q has an element that begins with a dot: %w", key, ErrInvalidKey)
	case len(element) > MaxElement:
		return fmt.Errorf("key %q has an element of more than %d bytes: %w", key, MaxElement, ErrInvalidKey)
	}
	return nil
}
