package nodeconfig

import (
	"os"
	"path/filepath"
	"testing"
)

// A file of gossip keys is taken or refused, and what is taken is of a length
// that gossip has ciphers for.
func FuzzLoadGossipKeys(f *testing.F) {
	f.Add([]byte("# first is in use\nAAAAAAAAAAAAAAAAAAAAAA==\n\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"))
	f.Add([]byte("AAAA\n"))
	f.Add([]byte("!\n"))
	path := filepath.Join(f.TempDir(), "keys")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := LoadGossipKeys(path)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for i, k := range keys {
			if n := len(k); n != 16 && n != 24 && n != 32 {
				t.Errorf("key %d has %d bytes", i, n)
			}
		}
	})
}
