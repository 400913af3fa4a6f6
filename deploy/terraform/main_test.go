package terraform

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// wasBuilt says that there is a binary to remove.
var wasBuilt atomic.Bool

func TestMain(m *testing.M) {
	code := m.Run()
	if wasBuilt.Load() {
		path, _ := built()
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}
