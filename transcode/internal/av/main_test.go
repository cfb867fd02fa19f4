package av

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain shows that no test leaves a goroutine or a handle behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if n := Live(); n != 0 {
		fmt.Fprintf(os.Stderr, "%d handles are still open\n", n)
		code = max(code, 1)
	}
	os.Exit(code)
}
