package publish

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/rtmp"
)

// A publisher that loses its server comes to the next one, with a keyframe at time
// 0 and the numbers that follow.
func TestRoaming(t *testing.T) {
	var lns [2]net.Listener
	var got [2]chan rtmp.Message
	var conns [2]chan net.Conn
	for i := range lns {
		lns[i], got[i], conns[i] = listen(t), make(chan rtmp.Message, 10_000), make(chan net.Conn, 1)
		go accept(t, tapped{lns[i], conns[i]}, false, got[i])
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := make(chan string, 100)
	r := Roaming{
		Config: Config{Signal: signal.Config{BitrateBPS: 300_000, FPS: 50, GOP: 50}, Due: true}, Pause: 50 * time.Millisecond,
		Number:  signal.SourceStep,
		OnReady: func(url string) { events <- "ready " + url }, OnLost: func(url string, _ error) { events <- "lost " + url },
	}
	for _, ln := range lns {
		r.URLs = append(r.URLs, "rtmp://"+ln.Addr().String()+"/live/a")
	}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	videos := func(from <-chan rtmp.Message, n int) (numbers []uint32, first rtmp.Message) {
		for len(numbers) < n {
			m := <-from
			mark, ok := signal.Read(m.Body)
			if m.Type != media.TypeVideo || !ok {
				continue
			}
			if numbers = append(numbers, mark.Seq); len(numbers) == 1 {
				first = m
			}
		}
		return numbers, first
	}
	before, _ := videos(got[0], 5)
	(<-conns[0]).Close()
	for range got[0] { // until its reader has ended
	}
	after, first := videos(got[1], 5)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if before[0] != signal.SourceStep || after[0] < before[4] || after[4] != after[0]+4 {
		t.Errorf("numbers %v, then %v", before, after)
	}
	if first.Timestamp != 0 || first.Body[0] != 0x17 {
		t.Errorf("it comes back with %x at %d ms", first.Body[0], first.Timestamp)
	}
	close(events)
	want := []string{"ready " + r.URLs[0], "lost " + r.URLs[0], "ready " + r.URLs[1]}
	if all := slices.Collect(func(yield func(string) bool) {
		for e := range events {
			if !yield(e) {
				return
			}
		}
	}); !slices.Equal(all, want) {
		t.Errorf("events %q, want %q", all, want)
	}
	for _, bad := range []Roaming{{}, {URLs: r.URLs}, {URLs: r.URLs, Pause: time.Second, Number: 5}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// tapped gives away the connections that it takes.
type tapped struct {
	net.Listener

	conns chan net.Conn
}

func (l tapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.conns <- c
	}
	return c, err
}
