package relay

import "testing"

func TestTickOf(t *testing.T) {
	for n, want := range map[int]int64{0: 0, 1: 15, busySession - 1: 15, busySession: 20, 1000: 20} {
		if got := tickOf(n); got.Milliseconds() != want {
			t.Errorf("%d subscriptions: %v, want %d ms", n, got, want)
		}
	}
}
