//go:build !linux

package reactor

import (
	"errors"
	"testing"
)

func TestUnsupportedOS(t *testing.T) {
	if _, err := New(DefaultConfig()); !errors.Is(err, ErrUnsupportedOS) {
		t.Errorf("New: %v", err)
	}
}
