package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tmms/cmd/tmms/internal/nodeconfig"
)

// A node that ends between a token's use and the certificate asks with the same key
// again; once it has the certificate that key is the node's, and nothing else is left.
func TestAskingKey(t *testing.T) {
	c := nodeconfig.Cluster{KeyFile: filepath.Join(t.TempDir(), "pki", "node.key")}
	ask := func() []byte {
		t.Helper()
		key, err := askingKey(c, "e1")
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	first := ask()
	if again := ask(); !bytes.Equal(first, again) {
		t.Error("after a crash it asks with another key")
	}
	if info, err := os.Stat(c.KeyFile + next); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	if err := os.WriteFile(c.KeyFile+next, first[:40], 0o600); err != nil {
		t.Fatal(err)
	}
	second := ask()
	if bytes.Equal(first, second) || !bytes.Equal(second, ask()) {
		t.Error("what is no key is not replaced")
	}
	for range 2 {
		if err := forgetAsking(c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(c.KeyFile + next); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key stays: %v", err)
	}
}
