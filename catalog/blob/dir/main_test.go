package dir_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVariable makes the test binary run as the child of a crash test, in the
// folder that it names.
const childVariable = "RUSHES_TEST_BLOB_CHILD"

func TestMain(m *testing.M) {
	if root := os.Getenv(childVariable); root != "" {
		os.Exit(putForEver(root))
	}
	goleak.VerifyTestMain(m)
}
