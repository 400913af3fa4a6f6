package web

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"

	"tmms/media"
)

// pattern is n bytes that tell where they belong.
func pattern(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((from + i) * 31 >> 3)
	}
	return b
}

func TestPipeIsBounded(t *testing.T) {
	p := newPipe(newChunks(), netip.AddrPort{})
	all := pattern(0, media.MaxViewerPipe+5000)
	n, err := p.Send(all)
	if err != nil || n != media.MaxViewerPipe {
		t.Fatalf("took %d bytes, %v, want %d", n, err, media.MaxViewerPipe)
	}
	more, err := p.Send(all[n:])
	if more != 0 || err != nil {
		t.Fatalf("took %d bytes more, %v", more, err)
	}
	var got []byte
	owed := 0
	for b := p.next(); len(b) > 0; b = p.next() {
		got = append(got, b...)
		if p.took(len(b)) {
			owed++
			if left := media.MaxViewerPipe - len(got); left > media.MaxViewerPipe-pipeRoom {
				t.Errorf("room is told of with %d bytes inside", left)
			}
		}
	}
	if !bytes.Equal(got, all[:n]) || owed != 1 {
		t.Errorf("%d bytes came, room was told of %d times", len(got), owed)
	}
	if n, err = p.Send(all[n:]); n != 5000 || err != nil {
		t.Errorf("with room it took %d bytes, %v", n, err)
	}
	p.close()
	if n, err = p.Send(all); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("closed it took %d bytes, %v", n, err)
	}
}

// completion is what SendLater tells.
type completion struct{ n, asked int }

func (c *completion) OnSent(n, asked int, _ error) { c.n, c.asked = n, asked }

func TestPipeTellsTheOutcomeAtOnce(t *testing.T) {
	p := newPipe(newChunks(), netip.MustParseAddrPort("192.0.2.1:7"))
	var c completion
	p.SendLater(pattern(0, media.MaxViewerPipe+1), &c)
	if c.n != media.MaxViewerPipe || c.asked != media.MaxViewerPipe+1 {
		t.Errorf("%+v", c)
	}
	if p.Remote().Port() != 7 {
		t.Errorf("remote is %v", p.Remote())
	}
}

// Both ends at once: every byte comes, in order, and whoever was refused is told
// of room, so that it never stands still.
func TestPipeBetweenTwoGoroutines(t *testing.T) {
	const total = 16 << 20
	p := newPipe(newChunks(), netip.AddrPort{})
	room := make(chan struct{}, 1)
	go func() {
		for sent, size := 0, 1; sent < total; size = size*7%60_000 + 1 {
			b := pattern(sent, min(size, total-sent))
			n, err := p.Send(b)
			if err != nil {
				t.Error(err)
				return
			}
			sent += n
			if n < len(b) {
				<-room
			}
		}
	}()
	for got := 0; got < total; {
		b := p.next()
		if len(b) == 0 {
			<-p.filled
			continue
		}
		b = b[:min(len(b), 5000)]
		if !bytes.Equal(b, pattern(got, len(b))) {
			t.Fatalf("wrong bytes at %d", got)
		}
		got += len(b)
		if p.took(len(b)) {
			room <- struct{}{}
		}
	}
}

func TestPipeDoesNotAllocateWhenItRuns(t *testing.T) {
	p := newPipe(newChunks(), netip.AddrPort{})
	b := pattern(0, 50_000)
	round := func() {
		if n, err := p.Send(b); n != len(b) || err != nil {
			t.Fatalf("took %d bytes, %v", n, err)
		}
		for piece := p.next(); len(piece) > 0; piece = p.next() {
			p.took(len(piece))
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n > 0.5 { // a collection may empty the pool
		t.Errorf("%.1f allocations for each flush", n)
	}
}
