//go:build next

package relaywire

import (
	"errors"
	"testing"
)

// Streams begin as the version has it that both ends speak.
func TestNextRelease(t *testing.T) {
	for _, v := range []Version{V1, V2} {
		if _, _, err := v.ParseHello(V3.AppendHello(nil, StreamSubscribe)); !errors.Is(err, ErrVersion) {
			t.Errorf("version %d: %v", v, err)
		}
		b := V3.Agree(v).AppendHello(nil, StreamSubscribe)
		if k, _, err := v.ParseHello(b); err != nil || k != StreamSubscribe {
			t.Errorf("version %d: %v, %v", v, k, err)
		}
	}
	if k, _, err := ParseHello(V3.AppendHello(nil, StreamSubscribe)); err != nil || k != StreamSubscribe {
		t.Errorf("%v, %v", k, err)
	}
}
