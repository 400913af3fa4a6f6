package web

import (
	"testing"
	"unsafe"
)

// Of 10,000 viewers each byte here costs 10 KB. The limits are size classes of
// the allocator.
func TestViewerIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(conn{}); n > 128 {
		t.Errorf("a conn has %d bytes, want at most 128", n)
	}
	if n := unsafe.Sizeof(player{}); n > 128 {
		t.Errorf("a player has %d bytes, want at most 128", n)
	}
}
