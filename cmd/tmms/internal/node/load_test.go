package node

import (
	"testing"
	"time"
)

func TestShare(t *testing.T) {
	for _, c := range []struct {
		cpu, wall  time.Duration
		processors int
		want       float64
	}{
		{0, time.Second, 2, 0},
		{time.Second, 0, 2, 0},
		{time.Second, 2 * time.Second, 2, .25},
		{9 * time.Second, 2 * time.Second, 2, 1},
		{time.Second, 2 * time.Second, 0, .5},
	} {
		if got := share(c.cpu, c.wall, c.processors); got != c.want {
			t.Errorf("%v in %v on %d: %v, want %v", c.cpu, c.wall, c.processors, got, c.want)
		}
	}
}
