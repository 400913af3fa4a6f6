package origin_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/rtmp"
	"tmms/origin/ingest"
)

// CASES: fc-order (the orders of ffmpeg, OBS and GStreamer).
//
// Requirement: S8 (bodies enter the log as they were pushed).
func TestPublish(t *testing.T) {
	for name, order := range map[string]rtmp.Order{
		"ffmpeg": rtmp.OrderFFmpeg, "OBS": rtmp.OrderOBS, "minimal": rtmp.OrderMinimal,
	} {
		t.Run("fc-order "+name, func(t *testing.T) {
			n := newNode(t, nil)
			addr := n.listen()
			c := dial(t, addr, "rtmp://"+addr+"/live/test", order).ready()
			big := make([]byte, 200_000)
			rand.Read(big)
			want := []string{onMetaData, audioConfig, videoConfig, videoKey, audioFrame + string(big)}
			c.send(media.TypeData, 0, want[0])
			c.send(media.TypeVideo, 0, want[2])
			c.send(media.TypeAudio, 0, want[1])
			c.send(media.TypeVideo, 0, want[3])
			c.send(media.TypeAudio, 10, want[4])
			for i, e := range entries(n.waitPackets("test", 5)) {
				if i > 0 && e.body != want[i] { // the metadata is made anew
					t.Errorf("packet %d has a body of %d bytes that is not what was pushed", i, len(e.body))
				}
			}
			c.quit()
			waitFor(t, "grace", func() bool { return n.Streams()[0].State == "grace" })
			waitFor(t, "the end in the log", func() bool { return strings.Contains(n.log.String(), "publisher closed") })
			if log := n.log.String(); strings.Count(log, "publisher closed") != 1 ||
				!strings.Contains(log, "stream=default/live/test") || !strings.Contains(log, "closed by the peer") {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// CASES: url, name, busy.
//
// Requirement: S5 (publish: domains and apps, and what is refused).
func TestRoute(t *testing.T) {
	n := newNode(t, nil)
	addr := n.listen()
	long := strings.Repeat("x", media.MaxName+1)
	for _, tt := range []struct {
		name, url string
		want      string // stream key, or a part of the description of the refusal
	}{
		{"url IP host", "rtmp://127.0.0.1:1935/live/a1", "default/live/a1"},
		{"url IPv6 host", "rtmp://[::1]:1935/live/a2", "default/live/a2"},
		{"url without port", "rtmp://localhost/live/a3", "default/live/a3"},
		{"url case", "rtmp://TV.Example.COM./late/a4", "tv.example.com/late/a4"},
		{"url alias", "rtmp://eu.tv.example.com/late/a5", "tv.example.com/late/a5"},
		{"url vhost on the stream", "rtmp://127.0.0.1/late/a6?vhost=tv.example.com", "tv.example.com/late/a6"},
		{"url domain on the app", "rtmp://127.0.0.1/late?domain=tv.example.com/a7", "tv.example.com/late/a7"},
		{"url the stream's query counts", "rtmp://h/live?key=no/a8?key=s3cret&domain=tv.example.com", "tv.example.com/live/a8"},
		{"key", "rtmp://tv.example.com/live/a9?key=s3cret", "tv.example.com/live/a9"},
		{"token", "rtmp://tv.example.com/live/a10?token=s3cret", "tv.example.com/live/a10"},
		{"an open app takes any key", "rtmp://tv.example.com/late/a11?key=whatever", "tv.example.com/late/a11"},

		{"unknown domain", "rtmp://127.0.0.1/live/b1?domain=no.example.org", `unknown domain "no.example.org"`},
		{"unknown app", "rtmp://127.0.0.1/dead/b2", `unknown app "dead" in domain "default"`},
		{"an app of another domain", "rtmp://127.0.0.1/late/b3", `unknown app "late"`},
		{"no key", "rtmp://tv.example.com/live/b4", "needs a publish key"},
		{"wrong key", "rtmp://tv.example.com/live/b5?key=S3cret", "key is wrong"},
		{"name with shell characters", "rtmp://h/live/$(reboot)", "bad name"},
		{"name with a line end", "rtmp://h/live/a\r\nb", "bad name"},
		{"name that leaves the folder", "rtmp://h/live/..", "bad name"},
		{"name that is too long", "rtmp://h/live/" + long, "256 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, addr, tt.url, rtmp.OrderFFmpeg)
			defer c.quit()
			if !strings.HasPrefix(tt.want, "default/") && !strings.HasPrefix(tt.want, "tv.") {
				s := c.refused()
				if s.Code != "NetStream.Publish.BadName" || !strings.Contains(s.Description, tt.want) {
					t.Errorf("refused with %s %q, want %q", s.Code, s.Description, tt.want)
				}
				return
			}
			c.ready()
			key, err := media.ParseStreamKey(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			if i, ok := n.Stream(key); !ok || i.State != "live" {
				t.Errorf("no stream %s; there are %v", key, n.Streams())
			}
		})
	}
}

// CASES: busy, takeover.
func TestBusy(t *testing.T) {
	n := newNode(t, nil)
	addr := n.listen()
	t.Run("busy", func(t *testing.T) {
		c := dial(t, addr, "rtmp://h/first/busy", rtmp.OrderFFmpeg).ready()
		s := dial(t, addr, "rtmp://h/first/busy", rtmp.OrderFFmpeg).refused()
		if s.Code != "NetStream.Publish.BadName" || strings.Contains(s.Description, "127.0.0.1") {
			t.Errorf("refused with %s %q", s.Code, s.Description)
		}
		count := c.publish(0, 1000)
		n.waitPackets("busy", count)
		c.quit()
	})
	t.Run("takeover", func(t *testing.T) {
		c := dial(t, addr, "rtmp://h/live/mine?key=same", rtmp.OrderFFmpeg).ready()
		n.waitPackets("mine", c.publish(0, 1000))
		c2 := dial(t, addr, "rtmp://h/live/mine?key=same", rtmp.OrderFFmpeg).ready()
		c.closed()
		c2.publish(0, 1000)
		life := n.waitPackets("mine", 150) // 78 and 75: the headers are known
		if list := entries(life); list[len(list)-1].Run != 1 {
			t.Errorf("last packet of run %d, want 1", list[len(list)-1].Run)
		}
		waitFor(t, "log line", func() bool { return strings.Contains(n.log.String(), "replaced by another publisher") })
		dial(t, addr, "rtmp://h/live/mine?key=other", rtmp.OrderFFmpeg).refused()
		c2.quit()
	})
}

// CASES: fc-order (publish again on the same connection).
func TestPublishAgain(t *testing.T) {
	for _, how := range []string{"deleteStream", "closeStream", "FCUnpublish"} {
		t.Run("fc-order "+how, func(t *testing.T) {
			n := newNode(t, nil)
			addr := n.listen()
			c := dial(t, addr, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
			n.waitPackets("test", c.publish(0, 1000))
			switch how {
			case "deleteStream":
				c.command(0, how, 0, amf0.Null(), amf0.Number(1))
			case "closeStream":
				c.command(1, how, 0, amf0.Null())
			default:
				c.command(0, how, 9, amf0.Null(), amf0.String("test"))
			}
			waitFor(t, "grace", func() bool { return n.Streams()[0].State == "grace" })
			c.send(media.TypeAudio, 1000, audioFrame) // too late
			if how == "deleteStream" {
				c.command(0, "createStream", 10, amf0.Null())
			}
			c.command(1, "publish", 11, amf0.Null(), amf0.String("test"), amf0.String("live"))
			waitFor(t, "second run", func() bool { return n.Streams()[0].State == "live" })
			c.publish(0, 1000)
			list := entries(n.waitPackets("test", 78+75))
			if e := list[len(list)-1]; e.Run != 1 || len(list) != 78+75 {
				t.Errorf("%d packets, the last of run %d; want 153 and run 1", len(list), e.Run)
			}
		})
	}
}

func TestPlayIsRefused(t *testing.T) {
	n := newNode(t, nil)
	addr := n.listen()
	c := dial(t, addr, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
	c.command(1, "closeStream", 0, amf0.Null())
	c.command(1, "play", 5, amf0.Null(), amf0.String("test"))
	if s := c.refused(); s.Code != "NetStream.Play.Failed" {
		t.Errorf("refused with %s %q", s.Code, s.Description)
	}
}

func TestHTTP(t *testing.T) {
	n := newNode(t, nil)
	nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", n.listen())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(nc); !strings.HasPrefix(string(b), "HTTP/1.1 400 ") {
		t.Errorf("answer %q", b)
	}
}

// The parser, the socket and what was read go from a loop to the origin in the
// middle of the stream, without a replay.
func TestAccept(t *testing.T) {
	n := newNode(t, nil)
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := dial(t, ln.Addr().String(), "rtmp://h/live/test", rtmp.OrderOBS)
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	h := handover(t, n, nc)
	// Messages that came with the request: the client does not wait.
	var early []byte
	c.do(func(rc *rtmp.ClientConn) {
		rc.Publish(rtmp.Message{Type: media.TypeAudio, Body: []byte(audioConfig)})
		rc.Publish(rtmp.Message{Type: media.TypeAudio, Body: []byte(audioFrame)})
		early = append(early, rc.Output()...)
		rc.Sent(len(early))
	})
	h.Unread = early
	n.Accept(h)
	c.ready()
	c.send(media.TypeAudio, 20, audioFrame)
	list := entries(n.waitPackets("test", 4))
	if len(list) != 4 || list[1].body != audioConfig || list[3].DTS != 20 {
		t.Errorf("log %v", list)
	}
	c.quit()
}

// handover does what a loop does until the peer asks to publish.
func handover(t *testing.T, n *node, nc net.Conn) (h originHandover) {
	t.Helper()
	h.Conn = nc
	h.RTMP = rtmp.NewServerConn(rtmp.ServerConfig{Budget: n.budget})
	buf := make([]byte, 4096)
	for {
		k, err := nc.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		for b := buf[:k]; len(b) > 0; {
			used, ev, err := h.RTMP.Feed(b)
			if err != nil {
				t.Fatal(err)
			}
			b = b[used:]
			if ev.Kind == rtmp.EventPublish {
				h.Request = ev.Request
				return h
			}
		}
		out := h.RTMP.Output()
		if _, err := nc.Write(out); err != nil {
			t.Fatal(err)
		}
		h.RTMP.Sent(len(out))
	}
}

// Requirement: S6 (one clock over a cut and repeated push, over real sockets).
func TestSeam(t *testing.T) {
	n := newNode(t, nil)
	addr := n.listen()
	feed, err := n.hub.Open(media.StreamKey{Domain: "default", App: "live", Stream: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	var sent int64
	for run, start := range []uint32{0, 0, 77_777_777, 1<<32 - 700, 1<<31 - 300} {
		c := dial(t, addr, "rtmp://h/live/test?key=k", rtmp.OrderFFmpeg).ready()
		if sent += c.publish(start, 2000); run > 0 {
			sent -= 3
		}
		n.waitPackets("test", sent)
		c.quit()
	}
	last := map[media.Type]media.Timestamp{}
	list := entries(feed.Live())
	for i, e := range list {
		if e.Kind == media.KindConfig || e.Kind == media.KindData {
			continue
		}
		frame := media.Timestamp(20)
		if e.Type == media.TypeVideo {
			frame = 40
		}
		if prev, ok := last[e.Type]; ok && (e.DTS < prev || e.DTS > prev+2*frame) {
			t.Fatalf("%v packet %d of run %d at %d after %d", e.Type, i, e.Run, e.DTS, prev)
		}
		last[e.Type] = e.DTS
	}
	if d := last[media.TypeVideo] - last[media.TypeAudio]; d < -40 || d > 40 || int64(len(list)) != sent {
		t.Errorf("%d packets of %d; video ends %d ms after audio", len(list), sent, d)
	}
}

func TestDrain(t *testing.T) {
	n := newNode(t, nil)
	addr := n.listen()
	c := dial(t, addr, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
	n.waitPackets("test", c.publish(0, 1000))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	c.closed()
	if s := n.Streams()[0].State; s != "grace" {
		t.Errorf("stream is %s after the drain, want grace", s)
	}
	if nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr); err == nil {
		nc.Close()
		t.Error("the listener is open after the drain")
	}
	// A loop may still hand over.
	a, b := net.Pipe()
	defer a.Close()
	n.Accept(originHandover{Conn: b, RTMP: rtmp.NewServerConn(rtmp.ServerConfig{}), Request: &rtmp.Request{}})
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection handed over to a drained origin reads %v, want EOF", err)
	}
}

// CASES: ertmp-reconnect. Publishers that can reconnect are asked to and publish on;
// those that do not go are closed after the drain time, the others at once.
func TestDrainAsksPublishersToReconnect(t *testing.T) {
	for _, sockets := range []ingest.Sockets{nil, readers{}} {
		t.Run(fmt.Sprintf("ertmp-reconnect %T", sockets), func(t *testing.T) {
			n := newNode(t, func(c *setup) { c.sockets = sockets })
			addr := n.listen()
			able := func(stream string) *client {
				return dialWith(t, addr, rtmp.ClientConfig{Role: rtmp.RolePublish, Caps: rtmp.CapsReconnect}, "rtmp://h/live/"+stream)
			}
			old, stays, goes := dial(t, addr, "rtmp://h/live/old", rtmp.OrderFFmpeg).ready(), able("stays").ready(), able("goes").ready()
			for stream, c := range map[string]*client{"old": old, "stays": stays, "goes": goes} {
				n.waitPackets(stream, c.publish(0, 1000))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			began, drained := time.Now(), make(chan error, 1)
			go func() { drained <- n.Drain(ctx) }()
			waitFor(t, "the drain", func() bool {
				nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
				if err == nil {
					nc.Close()
				}
				return err != nil
			})
			old.do(func(rc *rtmp.ClientConn) {
				rc.Publish(rtmp.Message{Type: media.TypeAudio, Timestamp: 1000, Body: []byte(audioFrame)})
			})
			old.closed()
			for _, c := range []*client{stays, goes} {
				ev := c.sendUntilEvent(1000)
				if ev.Kind != rtmp.EventReconnect || ev.Status.TcURL != "rtmp://h/live" {
					t.Fatalf("event %v with %+v, want a request to reconnect", ev.Kind, ev.Status)
				}
			}
			goes.quit()
			n.waitPackets("stays", 79+stays.publish(1000, 1000)-3) // it goes on meanwhile
			stays.closed()
			if lasted := time.Since(began); lasted < media.ReconnectTimeout {
				t.Errorf("closed after %v, want %v", lasted, media.ReconnectTimeout)
			}
			if err := <-drained; err != nil {
				t.Error(err)
			}
		})
	}
}

// sendUntilEvent sends sound until something comes: a lent socket is given back with
// what comes behind the request to.
func (c *client) sendUntilEvent(at uint32) rtmp.Event {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		c.send(media.TypeAudio, at, audioFrame)
		select {
		case ev := <-c.events:
			return ev
		case <-tick.C:
		}
	}
}
