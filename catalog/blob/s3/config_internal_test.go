package s3

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
)

func TestPartSize(t *testing.T) {
	t.Parallel()
	c, err := Config{Bucket: "b"}.withDefaults()
	require.NoError(t, err)
	for size, want := range map[int64]int64{
		blob.UnknownSize: 16 << 20, 0: 16 << 20, 160_000 << 20: 16 << 20, 160_000<<20 + 1: 17 << 20, 5 << 40: 525 << 20,
	} {
		got := c.partSize(size)
		require.Equal(t, want, got, size)
		require.LessOrEqual(t, size, got*maxParts)
	}
}

func TestConfigIsPrintedWithoutSecrets(t *testing.T) {
	t.Parallel()
	hidden := func() string { return "hidden-word" }
	c := Config{Bucket: "b", AccessKey: "id", SecretKey: hidden, SessionToken: hidden}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		text := fmt.Sprintf(verb, c)
		require.NotContains(t, text, "hidden-word")
		require.Contains(t, text, "redacted")
	}
}

func FuzzParseContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-9/10", "bytes 5-5/6", "bytes */10", "bytes 9-0/10", "bytes 0-10/10", "", "bytes -1-5/6"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		first, last, size, ok := parseContentRange(value)
		if ok && (first < 0 || first > last || last >= size) {
			t.Fatalf("%q: %d-%d/%d", value, first, last, size)
		}
	})
}
