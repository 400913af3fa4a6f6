package demo

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

func embedded(t *testing.T) *clip {
	t.Helper()
	c, err := parseClip(asset)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAsset: real H.264 and AAC in exactly the cadence that makes the loop seamless.
func TestAsset(t *testing.T) {
	if len(asset) > 500<<10 {
		t.Errorf("the asset has %d bytes, the limit is 500 KiB", len(asset))
	}
	c := embedded(t)
	if len(c.configs) != 3 || c.configs[0].Type != media.TypeData {
		t.Errorf("%d configs, want metadata and two sequence headers", len(c.configs))
	}
	var video, audio int
	for _, m := range c.frames {
		info, err := flv.Describe(m.Type, m.Body)
		if err != nil {
			t.Fatal(err)
		}
		want := uint32((audio*1024 + 24) / 48)
		switch m.Type {
		case media.TypeVideo:
			want = uint32(video * 40)
			if info.Codec != media.CodecH264 || info.CTO != 0 || (info.Kind == media.KindKey) != (video%50 == 0) {
				t.Errorf("picture %d: %+v", video, info)
			}
			video++
		case media.TypeAudio:
			if info.Codec != media.CodecAAC {
				t.Errorf("audio frame %d is %s", audio, info.Codec)
			}
			audio++
		default:
			t.Errorf("a frame of type %s", m.Type)
		}
		if d := int(m.Timestamp) - int(want); d < -1 || d > 1 {
			t.Errorf("%s frame at %d ms, want %d", m.Type, m.Timestamp, want)
		}
	}
	if video != 200 || audio != 375 {
		t.Errorf("%d pictures and %d audio frames, want 200 and 375", video, audio)
	}
}

// TestSeam: time runs on over thousands of turns without a step or a drift, past the 32-bit wrap.
func TestSeam(t *testing.T) {
	c := embedded(t)
	var last media.Timestamp
	lastOf := map[media.Type]media.Timestamp{media.TypeVideo: -40, media.TypeAudio: -21}
	for n := range 3 * len(c.frames) {
		m, at := c.frame(n)
		if at < last || uint32(at) != m.Timestamp {
			t.Fatalf("frame %d at %d after %d, timestamp %d", n, at, last, m.Timestamp)
		}
		step := at - lastOf[m.Type]
		if m.Type == media.TypeVideo && step != 40 || m.Type == media.TypeAudio && (step < 20 || step > 23) {
			t.Errorf("frame %d: a step of %d ms on %s", n, step, m.Type)
		}
		last, lastOf[m.Type] = at, at
	}
	const turns = 600_000 // 55 days
	m, at := c.frame(turns * len(c.frames))
	if at != turns*turn || m.Timestamp != uint32(turns*uint64(turn)&0xFFFFFFFF) || at.Duration() < 50*24*time.Hour {
		t.Errorf("turn %d starts at %d, timestamp %d", turns, at, m.Timestamp)
	}
}

// server takes publishers over pipes.
type server struct {
	requests []rtmp.Request
	messages []rtmp.Message // of the last connection
	limit    int            // closes a connection after so many messages; 0: never
	refuse   bool
}

func (s *server) dial(context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	s.messages = nil
	go s.serve(there)
	return here, nil
}

func (s *server) serve(c net.Conn) {
	defer c.Close()
	conn := rtmp.NewServerConn(rtmp.ServerConfig{})
	buf := make([]byte, 8192)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for b := buf[:n]; len(b) > 0; {
			k, ev, err := conn.Feed(b)
			if err != nil {
				return
			}
			b = b[k:]
			switch {
			case ev.Kind == rtmp.EventPublish && s.refuse:
				conn.RejectPublish("busy")
			case ev.Kind == rtmp.EventPublish:
				s.requests = append(s.requests, *ev.Request)
				conn.AcceptPublish()
			case ev.Kind == rtmp.EventMessage:
				m := ev.Message
				m.Body = slices.Clone(m.Body)
				if s.messages = append(s.messages, m); len(s.messages) == s.limit {
					return
				}
			}
		}
		if out := conn.Output(); len(out) > 0 {
			n, err := c.Write(out)
			conn.Sent(n)
			if err != nil {
				return
			}
		}
	}
}

func start(t *testing.T, s *server) (stop func()) {
	t.Helper()
	p, err := New(Config{URL: "rtmp://[::1]:1999/live/demo", Log: slog.New(slog.DiscardHandler), Dial: s.dial})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// TestPublish: in real time, configs first, a keyframe next, over several turns.
func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		stop := start(t, s)
		time.Sleep(20*time.Second + time.Millisecond)
		synctest.Wait()
		stop()
		synctest.Wait()
		if len(s.requests) != 1 || s.requests[0].App != "live" || s.requests[0].Stream != "demo" || s.requests[0].Host != "::1" {
			t.Fatalf("requests %+v", s.requests)
		}
		var video, audio int
		for i, m := range s.messages {
			switch {
			case i < 3:
			case m.Type == media.TypeVideo:
				if int(m.Timestamp) != video*40 {
					t.Fatalf("picture %d at %d ms", video, m.Timestamp)
				}
				video++
			case m.Type == media.TypeAudio:
				audio++
			}
		}
		if video != 501 || audio < 937 || audio > 939 {
			t.Errorf("%d pictures and %d audio frames in 20 s, want 501 and about 938", video, audio)
		}
		info, err := flv.Describe(s.messages[3].Type, s.messages[3].Body)
		if err != nil || info.Kind != media.KindKey {
			t.Errorf("after the configs came %+v, %v; want a keyframe", info, err)
		}
	})
}

// TestReconnect: a server that drops the connection is asked again, soon and from the start.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{limit: 100}
		stop := start(t, s)
		time.Sleep(10 * time.Second)
		stop()
		synctest.Wait()
		if n := len(s.requests); n < 6 || n > 9 { // 100 messages are 1.3 s
			t.Errorf("%d connections in 10 s", n)
		}
	})
}

// TestRefused: refusals and failing dials are retried with a growing wait, up to 5 s.
func TestRefused(t *testing.T) {
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"refused": (&server{refuse: true}).dial,
		"no-server": func(context.Context) (net.Conn, error) {
			return nil, errors.New("connection refused")
		},
		"silent": func(context.Context) (net.Conn, error) {
			here, there := net.Pipe()
			_ = there.Close()
			return here, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dials []time.Time
				p, err := New(Config{
					URL: "rtmp://127.0.0.1/live/demo", Log: slog.New(slog.DiscardHandler),
					Dial: func(ctx context.Context) (net.Conn, error) {
						dials = append(dials, time.Now())
						return dial(ctx)
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := p.Run(ctx); err != nil {
					t.Errorf("Run: %v", err)
				}
				synctest.Wait()
				if n := len(dials); n < 14 || n > 18 {
					t.Errorf("%d dials in a minute", n)
				}
				if d := dials[1].Sub(dials[0]); d > 200*time.Millisecond {
					t.Errorf("the second dial came after %s", d)
				}
				if n := len(dials); dials[n-1].Sub(dials[n-2]) < 4*time.Second {
					t.Errorf("the last wait was %s", dials[n-1].Sub(dials[n-2]))
				}
			})
		})
	}
}

func TestBadURL(t *testing.T) {
	if _, err := New(Config{URL: "http://x/live/demo"}); err == nil {
		t.Error("http was taken")
	}
}

func TestParseClipTruncated(t *testing.T) {
	for _, n := range []int{0, 5, 12, 20, 100, len(asset) - 1} {
		if _, err := parseClip(asset[:n]); err == nil {
			t.Errorf("the first %d bytes were taken", n)
		}
	}
	if _, err := parseClip(flv.AppendHeader(nil, true, true)); err == nil {
		t.Error("a file without frames was taken")
	}
}
