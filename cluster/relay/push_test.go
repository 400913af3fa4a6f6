package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
)

// pushedSink takes one push and remembers it.
type pushedSink struct {
	request PushRequest
	fail    error                // what Write answers
	onWrite func(m rtmp.Message) // nil: none
	ended   chan struct{}        // closed by Detach
	held    chan int             // messages by when it holds; nil: nobody asks

	mu       sync.Mutex
	messages []rtmp.Message // guarded by mu
	alive    int            // guarded by mu
	reason   error          // guarded by mu; of Detach
}

func (s *pushedSink) Epoch() uint64 { return 77 }
func (s *pushedSink) Run() uint32   { return 3 }

func (s *pushedSink) Write(m rtmp.Message, _ time.Time) error {
	if s.onWrite != nil {
		s.onWrite(m)
	}
	m.Body = bytes.Clone(m.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	return s.fail
}

func (s *pushedSink) Alive(time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive++
}

func (s *pushedSink) Detach(reason error) {
	s.mu.Lock()
	s.reason = reason
	s.mu.Unlock()
	close(s.ended)
}

func (s *pushedSink) Hold() error {
	n, _ := s.counts()
	s.held <- n
	return nil
}

func (s *pushedSink) end(t *testing.T) error {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the push does not end at the owner")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

func (s *pushedSink) counts() (messages, alive int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages), s.alive
}

// pushRig is an owner and a forwarder.
type pushRig struct {
	owner, other *member
	sink         *pushedSink
	pusher       *Pusher
	closed       chan error // what the forwarder is told
}

func newPushRig(t *testing.T) *pushRig {
	t.Helper()
	w := newWorld(t)
	r := &pushRig{owner: w.start("owner"), other: w.start("other"), closed: make(chan error, 8)}
	r.sink = &pushedSink{ended: make(chan struct{})}
	r.owner.server.OnPush(func(_ context.Context, req PushRequest) (PushSink, error) {
		r.sink.request = req
		return r.sink, nil
	})
	r.pusher = NewPusher(r.other.fabric, r.other, time.Now)
	return r
}

func (r *pushRig) request() PushRequest {
	return PushRequest{
		PushRequest: relaywire.PushRequest{
			Key:    media.StreamKey{Domain: "d", App: "a", Stream: "s"},
			Remote: "192.0.2.1:1", Encoder: "enc", Token: relaywire.TokenDigest{1, 2, 3},
		},
		Close: func(err error) { r.closed <- err },
	}
}

func (r *pushRig) push(t *testing.T) *Push {
	t.Helper()
	p, err := r.pusher.Push(t.Context(), r.owner.id, r.request())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What a publisher sends comes to the owner as it was, with what is known of
// the publisher, and so does its end.
func TestPush(t *testing.T) {
	r := newPushRig(t)
	p := r.push(t)
	if p.Epoch() != 77 || p.Run() != 3 || p.Owner() != r.owner.id {
		t.Errorf("epoch %d, run %d at %s", p.Epoch(), p.Run(), p.Owner())
	}
	want := []rtmp.Message{
		{Type: media.TypeData, Body: []byte("meta")},
		{Type: media.TypeVideo, Timestamp: 1 << 31, Body: bytes.Repeat([]byte("v"), media.MaxMessageVideo)},
		{Type: media.TypeAudio, Timestamp: 1<<32 - 1, Body: []byte{}},
	}
	for i := range 1000 {
		want = append(want, rtmp.Message{
			Type: media.TypeVideo, Timestamp: uint32(i), Body: fmt.Appendf(nil, "%d%s", i, strings.Repeat("x", i*7%4000)),
		})
	}
	for _, m := range want {
		if err := p.Write(m, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(time.Now()); err != nil {
		t.Fatal(err)
	}
	p.Detach(errors.New("it went away"))
	if err := r.sink.end(t); err == nil || !strings.Contains(err.Error(), "it went away, at node other") {
		t.Errorf("the owner is told %v", err)
	}
	for i, m := range r.sink.messages {
		if m.Type != want[i].Type || m.Timestamp != want[i].Timestamp || !bytes.Equal(m.Body, want[i].Body) {
			t.Fatalf("message %d differs", i)
		}
	}
	if len(r.sink.messages) != len(want) {
		t.Errorf("%d messages, want %d", len(r.sink.messages), len(want))
	}
	req := r.sink.request
	if req.PushRequest != r.request().PushRequest || req.Node != "other" {
		t.Errorf("the request is %+v", req)
	}
	if len(r.closed) != 0 {
		t.Errorf("the forwarder is told %v", <-r.closed)
	}
	eventually(t, "no push", func() bool { return r.owner.server.Pushes() == 0 })
}

// The owner asks the publisher to hold, all before that comes, and it goes on when it
// may. A forwarder that knows nothing of this is not asked.
func TestPushTurn(t *testing.T) {
	r := newPushRig(t)
	r.sink.held = make(chan int, 1)
	sinks := make(chan *pushedSink, 2)
	sinks <- r.sink
	sinks <- &pushedSink{ended: make(chan struct{})}
	requests := make(chan PushRequest, 1)
	r.owner.server.OnPush(func(_ context.Context, req PushRequest) (PushSink, error) {
		requests <- req
		return <-sinks, nil
	})
	asked := make(chan relaywire.PushTurn, 1)
	req := r.request()
	req.Turn = func(m relaywire.PushTurn) { asked <- m }
	p, err := r.pusher.Push(t.Context(), r.owner.id, req)
	if err != nil {
		t.Fatal(err)
	}
	owner := <-requests
	write := func() {
		if err := p.Write(rtmp.Message{Type: media.TypeVideo, Body: []byte("v")}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []relaywire.PushTurn{{On: true, Video: true, Track: 3}, {}} {
		write()
		owner.Turn(want)
		if got := <-asked; got != want {
			t.Errorf("asked %+v, want %+v", got, want)
		}
		if want.On {
			if err := p.Hold(); err != nil {
				t.Fatal(err)
			}
			if n := <-r.sink.held; n != 1 {
				t.Errorf("it holds behind %d messages, want 1", n)
			}
		}
	}
	p.Detach(nil)
	if _ = r.sink.end(t); len(r.sink.messages) != 2 {
		t.Errorf("%d messages, want 2", len(r.sink.messages))
	}
	p = r.push(t)
	if req := <-requests; req.Turn != nil {
		t.Error("a forwarder is asked that has not said that it can be")
	}
	p.Detach(nil)
}

// A publisher that sends bytes but no message is alive at the owner too, which
// is not told more often than needed.
func TestPushAlive(t *testing.T) {
	r := newPushRig(t)
	p := r.push(t)
	defer p.Detach(nil)
	now := time.Now()
	for i := range 20 {
		if err := p.Flush(now.Add(time.Duration(i) * media.PushAckInterval / 10)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "alive", func() bool { _, n := r.sink.counts(); return n == 2 })
}

// The owner takes nothing: the forwarder blocks before it holds more than the
// windows, and gives up.
func TestPushBackPressure(t *testing.T) {
	r := newPushRig(t)
	stuck := make(chan struct{})
	r.sink.onWrite = func(rtmp.Message) { <-stuck }
	p := r.push(t)
	m := rtmp.Message{Type: media.TypeVideo, Body: make([]byte, 32<<10)}
	var sent int
	var err error
	for began := time.Now(); err == nil; sent += len(m.Body) {
		if time.Since(began) > 3*media.PushStallTimeout {
			t.Fatal("the push goes on")
		}
		err = p.Write(m, time.Now())
	}
	if limit := media.MaxFabricStreamWindow + 4*media.PushBuffer; sent > limit {
		t.Errorf("%d bytes are on the way, the limit is %d", sent, limit)
	}
	if !errors.Is(err, ErrPushLost) && !errors.Is(err, ErrPushStalled) {
		t.Errorf("error %v", err)
	}
	close(stuck)
	p.Detach(err)
	r.sink.end(t) //nolint:errcheck // it ends
}

// An owner that is slow but takes what comes holds the publisher back, and no more.
func TestPushSlow(t *testing.T) {
	r := newPushRig(t)
	r.sink.onWrite = func(rtmp.Message) { <-time.After(20 * time.Millisecond) }
	p := r.push(t)
	const count = 250 // 5 s of the owner, longer than a stall
	for range count {
		if err := p.Write(rtmp.Message{Type: media.TypeVideo, Body: make([]byte, 60<<10)}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	p.Detach(nil)
	eventually(t, "all messages", func() bool { n, _ := r.sink.counts(); return n == count })
}

// The owner ends a push: the forwarder is told why, once, and so is who writes.
func TestPushClosed(t *testing.T) {
	replaced := &PushClosedError{relaywire.PushClose{Reason: relaywire.PushReplaced, Text: "by b"}}
	for name, end := range map[string]func(r *pushRig){
		"by a call":      func(r *pushRig) { r.sink.request.Close(replaced); r.sink.request.Close(errors.New("again")) },
		"with a message": func(*pushRig) {},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPushRig(t)
			if name == "with a message" {
				r.sink.fail = replaced
			}
			p := r.push(t)
			if err := p.Write(rtmp.Message{Type: media.TypeAudio, Body: []byte("a")}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if err := p.Flush(time.Now()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "message", func() bool { n, _ := r.sink.counts(); return n == 1 })
			end(r)
			isReplaced := func(err error) bool {
				e, ok := errors.AsType[*PushClosedError](err)
				return ok && e.PushClose == replaced.PushClose
			}
			if err := <-r.closed; !isReplaced(err) {
				t.Errorf("the forwarder is told %v", err)
			}
			eventually(t, "the end of writes", func() bool {
				err := p.Write(rtmp.Message{Type: media.TypeAudio, Body: make([]byte, media.PushBuffer)}, time.Now())
				if err != nil && !isReplaced(err) {
					t.Fatalf("Write fails with %v", err)
				}
				return err != nil
			})
			p.Detach(nil)
			if err := r.sink.end(t); !isReplaced(err) {
				t.Errorf("the owner's reason is %v", err)
			}
			if len(r.closed) != 0 {
				t.Errorf("the forwarder is told again: %v", <-r.closed)
			}
		})
	}
}

func TestPushRefused(t *testing.T) {
	busy := &PushRefusedError{relaywire.PushRefuse{Reason: relaywire.PushBusy, Owner: "id-x", Text: "no"}}
	for _, tt := range []struct {
		name   string
		role   string // of the forwarder
		accept AcceptPush
		want   relaywire.PushReason
	}{
		{"busy", pki.RoleOrigin, func(context.Context, PushRequest) (PushSink, error) { return nil, busy }, relaywire.PushBusy},
		{"an error", pki.RoleOrigin, func(context.Context, PushRequest) (PushSink, error) { return nil, io.EOF }, relaywire.PushFailed},
		{"no origin", pki.RoleOrigin, nil, relaywire.PushFailed},
		{"of an edge", pki.RoleEdge, func(context.Context, PushRequest) (PushSink, error) { panic("asked") }, relaywire.PushFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			owner, other := w.start("owner"), w.start("other", tt.role)
			if tt.accept != nil {
				owner.server.OnPush(tt.accept)
			}
			req := (&pushRig{}).request()
			_, err := NewPusher(other.fabric, other, time.Now).Push(t.Context(), owner.id, req)
			if e, ok := errors.AsType[*PushRefusedError](err); !ok || e.Reason != tt.want || tt.want == relaywire.PushBusy && e.Owner != "id-x" {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestPushUnreachable(t *testing.T) {
	r := newPushRig(t)
	if _, err := r.pusher.Push(t.Context(), "id-nobody", r.request()); !errors.Is(err, ErrPushLost) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.pusher.Push(ctx, r.owner.id, r.request()); !errors.Is(err, ErrPushLost) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	p := r.push(t)
	r.owner.stop()
	if err := <-r.closed; !errors.Is(err, ErrPushLost) {
		t.Errorf("the forwarder is told %v", err)
	}
	p.Detach(nil)
	r.sink.end(t) //nolint:errcheck // it ends
}

// Bytes that are no push end the stream, not the session.
func TestPushMalformed(t *testing.T) {
	r := newPushRig(t)
	r.owner.server.OnPush(func(context.Context, PushRequest) (PushSink, error) {
		return &pushedSink{ended: make(chan struct{})}, nil
	})
	n, _ := r.other.Node(r.owner.id)
	s, err := r.other.fabric.Session(t.Context(), fabric.Target{Name: n.Name, Addr: n.Addresses[fabricAddress]}, fabric.ALPNRelay)
	if err != nil {
		t.Fatal(err)
	}
	request := relaywire.AppendMessage(nil, r.request().PushRequest)
	for _, b := range []string{
		"\x43\x06\x09\x00\x00\x00\x00a",      // a message before the request
		"\x40\xff\xff\xff\xff\x7f",           // too long
		"\x99",                               // unknown
		"",                                   // nothing
		string(request[:len(request)-1]),     // cut off
		string(request) + "\x41\x02\x01\x01", // an answer
	} {
		st, err := s.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Write(relaywire.AppendHello(nil, relaywire.StreamPush)); err != nil {
			t.Fatal(err)
		}
		st.Write([]byte(b)) //nolint:errcheck // it may have been refused already
		st.Close()          //nolint:errcheck // as before
		io.ReadAll(st)      //nolint:errcheck // to its end
	}
	p := r.push(t)
	p.Detach(nil)
}
