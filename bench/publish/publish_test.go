package publish

import (
	"context"
	"net"
	"testing"
	"time"

	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/rtmp"
)

// accept takes one publisher and reports what it sends.
func accept(t *testing.T, ln net.Listener, refuse bool, got chan<- rtmp.Message) {
	t.Helper()
	c, err := ln.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	conn := rtmp.NewServerConn(rtmp.ServerConfig{})
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			close(got)
			return
		}
		for rest := b[:n]; ; {
			used, ev, err := conn.Feed(rest)
			if err != nil {
				t.Error(err)
				return
			}
			rest = rest[used:]
			switch ev.Kind {
			case rtmp.EventPublish:
				if refuse {
					conn.RejectPublish("not today")
				} else {
					conn.AcceptPublish()
				}
			case rtmp.EventMessage:
				ev.Message.Body = append([]byte(nil), ev.Message.Body...)
				got <- ev.Message
			default:
			}
			if ev.Kind == rtmp.EventNone {
				break
			}
		}
		if _, err := c.Write(conn.Output()); err != nil {
			return
		}
		conn.Sent(len(conn.Output()))
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// Requirement: C8
func TestRunPushesInRealTime(t *testing.T) {
	ln := listen(t)
	got := make(chan rtmp.Message, 1000)
	go accept(t, ln, false, got)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	ready := false
	cfg := Config{URL: "rtmp://" + ln.Addr().String() + "/live/a", Signal: signal.DefaultConfig()}
	if err := Run(ctx, cfg, func() { ready = true }); err != nil {
		t.Fatal(err)
	}
	if !ready {
		t.Error("onReady was not called")
	}
	var check signal.Check
	headers, bytes := 0, 0
	for m := range got {
		bytes += len(m.Body)
		if m.Type == media.TypeVideo && m.Body[1] == 0 || m.Type == media.TypeAudio && m.Body[1] == 0 {
			headers++
			continue
		}
		check.See(m.Type, m.Timestamp, m.Body, time.Now())
	}
	if headers != 2 || check.Frames < 25 || check.Gaps+check.Damaged+check.Back+check.Repeats != 0 {
		t.Errorf("%d headers, check %+v", headers, check)
	}
	if bytes < 150_000 || bytes > 300_000 {
		t.Errorf("%d bytes in a second of 2 Mbit/s", bytes)
	}
}

func TestRunIsRefused(t *testing.T) {
	ln := listen(t)
	go accept(t, ln, true, make(chan rtmp.Message, 1))
	cfg := Config{URL: "rtmp://" + ln.Addr().String() + "/live/a", Signal: signal.DefaultConfig()}
	if err := Run(t.Context(), cfg, nil); err == nil {
		t.Error("a refused publisher ended without an error")
	}
}

// Many streams from one goroutine: each whole, in real time, with the time at
// which its frames were due.
func TestFleet(t *testing.T) {
	const streams = 40
	ln := listen(t)
	all := make([]chan rtmp.Message, streams)
	for i := range all {
		all[i] = make(chan rtmp.Message, 1000)
		go accept(t, ln, false, all[i])
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := map[string]bool{}
	cfg := Fleet{
		Config:  Config{URL: "rtmp://" + ln.Addr().String() + "/live/a", Signal: signal.Config{BitrateBPS: 64_000, FPS: 25, GOP: 50, NoAudio: true}},
		Streams: streams, Batch: 40 * time.Millisecond,
	}
	ended := make(chan error, 1)
	go func() { ended <- cfg.Run(ctx, func(url string) { ready[url] = true }) }()
	var check signal.Check
	for i, got := range all {
		for frames := 0; frames < 25; {
			m := <-got
			if m.Type != media.TypeVideo {
				t.Fatalf("a message of type %d", m.Type)
			}
			if m.Body[1] == 0 {
				continue
			}
			if frames++; frames == 1 {
				check = signal.Check{}
			}
			if _, ok := check.See(m.Type, m.Timestamp, m.Body, time.Now()); !ok || m.Timestamp != uint32(40*(frames-1)) {
				t.Fatalf("stream %d: frame %d at %d ms, marked %v", i, frames, m.Timestamp, ok)
			}
		}
		if check.Gaps+check.Damaged+check.Back+check.Repeats != 0 {
			t.Errorf("stream %d: %+v", i, check)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(ready) != streams || !ready["rtmp://"+ln.Addr().String()+"/live/a-40"] {
		t.Errorf("ready are %v", ready)
	}
}

func TestFleetIsRefused(t *testing.T) {
	ln := listen(t)
	go accept(t, ln, true, make(chan rtmp.Message, 1))
	cfg := Fleet{
		Config:  Config{URL: "rtmp://" + ln.Addr().String() + "/live/a", Signal: signal.DefaultConfig()},
		Streams: 1, Batch: 5 * time.Millisecond,
	}
	if err := cfg.Run(t.Context(), nil); err == nil {
		t.Error("a refused publisher ended without an error")
	}
	if err := (Fleet{Config: cfg.Config, Streams: 1}).Run(t.Context(), nil); err == nil {
		t.Error("a batch of 0 was accepted")
	}
	if err := (Fleet{Config: cfg.Config, Batch: time.Second}).Run(t.Context(), nil); err == nil {
		t.Error("0 streams were accepted")
	}
}

// At its end a fleet knows what it has sent, and that all of it was read.
func TestFleetTally(t *testing.T) {
	const streams = 3
	ln := listen(t)
	all := make([]chan rtmp.Message, streams)
	for i := range all {
		all[i] = make(chan rtmp.Message, 1000)
		go accept(t, ln, false, all[i])
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tally Tally
	cfg := Fleet{
		Config:  Config{URL: "rtmp://" + ln.Addr().String() + "/live/a", Signal: signal.Config{BitrateBPS: 200_000, FPS: 25, GOP: 50}},
		Streams: streams, Batch: 5 * time.Millisecond, Tally: &tally,
	}
	ended := make(chan error, 1)
	go func() { ended <- cfg.Run(ctx, nil) }()
	var messages, bytes int64
	see := func(m rtmp.Message) { messages, bytes = messages+1, bytes+int64(len(m.Body)) }
	for _, got := range all {
		for range 10 {
			see(<-got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, got := range all {
		for m := range got {
			see(m)
		}
	}
	if tally.Messages != messages || tally.Bytes < bytes || tally.Bytes > bytes+20*messages {
		t.Errorf("%+v, but %d messages of %d bytes came", tally, messages, bytes)
	}
}

// A server that ends one stream ends the fleet with an error.
func TestFleetLosesAStream(t *testing.T) {
	ln := listen(t)
	got := make(chan rtmp.Message, 1000)
	go func() {
		first, err := ln.Accept()
		if err != nil {
			return
		}
		go accept(t, &only{ln, first}, false, got)
		<-got
		first.Close()
	}()
	cfg := Fleet{
		Config:  Config{URL: "rtmp://" + ln.Addr().String() + "/live/a", Signal: signal.DefaultConfig()},
		Streams: 1, Batch: 5 * time.Millisecond,
	}
	if err := cfg.Run(t.Context(), nil); err == nil {
		t.Error("the fleet ended without an error")
	}
}

// only is a listener that has its connection already.
type only struct {
	net.Listener
	c net.Conn
}

func (o *only) Accept() (net.Conn, error) { return o.c, nil }
