package viewer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"tmms/edge/fanout"
	"tmms/edge/reactor"
)

func TestReasonOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Reason
	}{
		{nil, ReasonOther},
		{errors.New("strange"), ReasonOther},
		{ErrDone, ReasonDone},
		{io.EOF, ReasonPeer},
		{fmt.Errorf("read: %w", syscall.ECONNRESET), ReasonPeer},
		{fanout.ErrEnded, ReasonEnded},
		{fanout.ErrLag, ReasonLag},
		{fanout.ErrOvertaken, ReasonOvertaken},
		{fanout.ErrStalled, ReasonStalled},
		{fmt.Errorf("%w: why", ErrProtocol), ReasonProtocol},
		{fmt.Errorf("%w: 3", ErrFull), ReasonFull},
		{reactor.ErrEvicted, ReasonEvicted},
		{context.Canceled, ReasonShutdown},
	} {
		if got := ReasonOf(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
	seen := map[string]bool{}
	for r := range NumReasons {
		if r.String() == "" || seen[r.String()] {
			t.Errorf("reason %d is called %q", r, r)
		}
		seen[r.String()] = true
	}
}

// socket notes what it is told and refuses it.
type socket struct {
	lowat      int
	congestion string
}

var errRefused = errors.New("refused")

func (s *socket) SetNotSentLowat(n int) error     { s.lowat = n; return errRefused }
func (s *socket) SetCongestion(name string) error { s.congestion = name; return errRefused }

func TestTune(t *testing.T) {
	for flush, want := range map[int]int{0: 32 << 10, 100_000: 100_000, 1 << 30: 1 << 20} {
		var s socket
		Tune(&s, flush)
		if s.lowat != want || s.congestion != "bbr" {
			t.Errorf("flush of %d bytes: lowat %d, want %d; congestion control %q", flush, s.lowat, want, s.congestion)
		}
	}
}

func TestGate(t *testing.T) {
	g := NewGate(2)
	for i := range 3 {
		if err := g.Enter(); errors.Is(err, ErrFull) != (i == 2) {
			t.Errorf("viewer %d: %v", i, err)
		}
	}
	g.Leave()
	if g.Viewers() != 1 {
		t.Errorf("%d viewers", g.Viewers())
	}
	g.Drain()
	if err := g.Enter(); !errors.Is(err, ErrDraining) || !g.Draining() {
		t.Errorf("while draining: %v", err)
	}
	g.Ended(io.EOF)
	if g.EndedBy(ReasonPeer) != 1 || g.EndedBy(NumReasons) != 0 {
		t.Error("ends are miscounted")
	}
}
