package api

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rushes/catalog"
)

type secret = catalog.Secret

func unix(s int64) time.Time { return time.Unix(s, 0) }

type oneKey struct{}

func (oneKey) KeyByAccessKey(_ context.Context, k string) (catalog.AccessKey, error) {
	if k == "k" {
		return catalog.AccessKey{AccessKey: "k", AppID: "a", Secret: "s"}, nil
	}
	return catalog.AccessKey{}, catalog.ErrNotFound
}

// FuzzToken: no token gets in whose signature nobody made, and every refusal
// has a reason for the caller.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{
		"", ".", "..", "a.b.c",
		"eyJhbGciOiJub25lIn0.eyJhY2Nlc3Nfa2V5IjoiayJ9.",
		"eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiayJ9.AAAA",
		"eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiayIsImV4cCI6MWUzMDB9.AAAA",
		"eyJhbGciOiJSUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiayJ9.AAAA",
		strings.Repeat("x", maxToken+1),
	} {
		f.Add(seed)
	}
	a := &API{config: Config{Keys: oneKey{}, Now: func() time.Time { return unix(1_800_000_000) }}}
	f.Fuzz(func(t *testing.T, token string) {
		key, err := a.keyOfToken(context.Background(), token)
		if err == nil {
			t.Fatalf("%q opens %+v", token, key)
		}
		var reason errToken
		if !errors.As(err, &reason) || reason == "" {
			t.Fatalf("%q: %v", token, err)
		}
	})
}
