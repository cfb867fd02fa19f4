package transcode_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"rushes/transcode"
)

// TestMain shows that no test leaves a goroutine or a libav handle behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if n := transcode.Handles(); n != 0 {
		fmt.Fprintf(os.Stderr, "%d libav handles are still open\n", n)
		code = max(code, 1)
	}
	os.Exit(code)
}
