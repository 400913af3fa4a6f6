package rtmp

import (
	"testing"
	"unsafe"
)

// Of 10,000 viewers each byte here costs 10 KB. The limit is a size class of
// the allocator.
func TestConnIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(conn{}); n > 144 {
		t.Errorf("a conn has %d bytes, want at most 144", n)
	}
}
