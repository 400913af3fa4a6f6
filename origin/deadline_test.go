package origin_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/rtmp"
	"tmms/origin"
)

type originHandover = origin.Handover

// inBubble runs f on a node that is served over pipes, with a clock of its own.
func inBubble(t *testing.T, change func(*setup), f func(n *node, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, p := newNode(t, change), newPipes()
		served := make(chan struct{})
		go func() {
			defer close(served)
			if err := n.Serve(t.Context(), p); err != nil {
				t.Error(err)
			}
		}()
		f(n, p)
		n.stop()
		<-served
	})
}

func TestDeadlines(t *testing.T) {
	const url = "rtmp://h/live/test"
	t.Run("handshake", func(t *testing.T) {
		inBubble(t, nil, func(n *node, p *pipes) {
			t := n.t
			nc, began := p.dial(), time.Now()
			defer nc.Close()
			if _, err := nc.Write([]byte{3, 0, 0}); err != nil {
				t.Fatal(err)
			}
			if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) != media.HandshakeTimeout {
				t.Errorf("closed with %v after %v, want EOF after %v", err, time.Since(began), media.HandshakeTimeout)
			}
		})
	})
	t.Run("identify", func(t *testing.T) {
		inBubble(t, nil, func(n *node, p *pipes) {
			t := n.t
			nc, began := p.dial(), time.Now()
			defer nc.Close()
			closed := make(chan time.Time, 1)
			go func() {
				io.Copy(io.Discard, nc) //nolint:errcheck // to its end
				closed <- time.Now()
			}()
			// A handshake, then nothing but pings.
			b := append([]byte{3}, make([]byte, 2*1536)...)
			ping := []byte{2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0}
			for {
				if _, err := nc.Write(b); err != nil {
					break
				}
				b = ping
				time.Sleep(time.Second)
			}
			if d := (<-closed).Sub(began); d != media.IdentifyTimeout {
				t.Errorf("closed after %v, want %v", d, media.IdentifyTimeout)
			}
		})
	})
	t.Run("idle", func(t *testing.T) {
		inBubble(t, nil, func(n *node, p *pipes) {
			t := n.t
			c := newClient(t, p.dial(), url, rtmp.OrderFFmpeg).ready()
			c.publish(0, 1000)
			time.Sleep(10 * time.Minute) // the client answers pings
			if i := n.Streams()[0]; i.State != "live" {
				t.Fatalf("a publisher that answers pings was closed; the stream is %s", i.State)
			}
			time.Sleep(time.Second)
			c.mu.Lock()
			c.silent = true
			c.mu.Unlock()
			began := time.Now()
			if d := c.closed().Sub(began); d > 30*time.Second || d < 15*time.Second {
				t.Errorf("a silent publisher was closed after %v, want 15 to 30 s (its last byte was before)", d)
			}
			synctest.Wait()
			if s := n.Streams()[0].State; s != "grace" {
				t.Errorf("the stream is %s, want grace", s)
			}
		})
	})
	t.Run("after unpublish", func(t *testing.T) {
		inBubble(t, nil, func(n *node, p *pipes) {
			t := n.t
			c := newClient(t, p.dial(), url, rtmp.OrderFFmpeg).ready()
			c.command(1, "closeStream", 0, amf0.Null())
			began := time.Now()
			if d := c.closed().Sub(began); d != 30*time.Second {
				t.Errorf("closed %v after the unpublish, want 30s", d)
			}
		})
	})
	t.Run("grace", func(t *testing.T) {
		inBubble(t, nil, func(n *node, p *pipes) {
			t := n.t
			c := newClient(t, p.dial(), url, rtmp.OrderFFmpeg).ready()
			c.publish(0, 1000)
			synctest.Wait()
			c.command(1, "deleteStream", 0, amf0.Null(), amf0.Number(1))
			time.Sleep(19 * time.Second)
			if len(n.Streams()) != 1 {
				t.Fatal("the stream ended before its grace")
			}
			time.Sleep(2 * time.Second)
			if len(n.Streams())+n.claims.len()+n.hub.Len() != 0 {
				t.Error("the stream is there after its grace")
			}
		})
	})
}

// A peer that does not read our answers is closed.
func TestWriteTimeout(t *testing.T) {
	inBubble(t, nil, func(n *node, p *pipes) {
		t := n.t
		nc, began := p.dial(), time.Now()
		defer nc.Close()
		c0c1 := make([]byte, 1537)
		c0c1[0] = 3
		if _, err := nc.Write(c0c1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(media.StallTimeout)
		synctest.Wait()
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read %v after %v, want EOF", err, time.Since(began))
		}
	})
}

// A publisher for whose message there is no room is paused, not closed, and
// goes on when there is.
func TestBudget(t *testing.T) {
	const size, budget = 80 << 10, 6 * 80 << 10
	part := videoKey + string(make([]byte, size-len(videoKey)))
	small := func(c *setup) { c.budget = budget }
	// full has seven publishers hold as much as the process may hold, and one
	// more that has no room for its message.
	full := func(n *node, p *pipes) (holders []*client, hungry *client) {
		var rests [][]byte
		hungry = newClient(n.t, p.dial(), "rtmp://h/live/hungry", rtmp.OrderFFmpeg).ready()
		for i := range 7 { // one more than there is room for
			url := "rtmp://h/live/" + string(rune('a'+i))
			holders = append(holders, newClient(n.t, p.dial(), url, rtmp.OrderFFmpeg).ready())
		}
		hold := func(c *client) {
			c.do(func(rc *rtmp.ClientConn) {
				rc.Publish(rtmp.Message{Type: media.TypeVideo, Body: []byte(part)})
				out := rc.Output()
				end := len(out) - 4096 // is held back
				c.out <- append([]byte(nil), out[:end]...)
				rests = append(rests, append([]byte(nil), out[end:]...))
				rc.Sent(len(out))
			})
		}
		for _, c := range holders[:6] {
			hold(c)
		}
		synctest.Wait()
		hungry.send(media.TypeVideo, 0, part)
		time.Sleep(time.Millisecond) // the seventh gives up later
		hold(holders[6])
		time.Sleep(10 * time.Second)
		for i, c := range holders { // they outlive the other's patience
			c.out <- rests[i][:1]
		}
		synctest.Wait()
		if used := n.budget.Used(); used > budget {
			n.t.Errorf("%d bytes are held, the limit is %d", used, budget)
		}
		if l := n.live("hungry"); l == nil || l.Packets() != 0 {
			n.t.Fatal("the last publisher was closed, or its message got through")
		}
		return holders, hungry
	}
	t.Run("there is room again", func(t *testing.T) {
		inBubble(t, small, func(n *node, p *pipes) {
			holders, hungry := full(n, p)
			for _, c := range holders[:4] {
				c.quit()
			}
			time.Sleep(time.Second)
			if k := n.live("hungry").Packets(); k != 2 { // with the metadata
				n.t.Errorf("%d packets once there is room, want 2", k)
			}
			hungry.quit()
		})
	})
	t.Run("there is none for too long", func(t *testing.T) {
		inBubble(t, small, func(n *node, p *pipes) {
			_, hungry := full(n, p)
			began := time.Now()
			d := hungry.closed().Sub(began)
			synctest.Wait() // for the log
			if d > 20*time.Second || !strings.Contains(n.log.String(), "no room") {
				n.t.Errorf("closed after %v more, want 20s; log:\n%s", d, n.log)
			}
		})
	})
}

// shortOfFiles is a listener that fails before it accepts.
type shortOfFiles struct {
	*pipes

	fails int
}

func (l *shortOfFiles) Accept() (net.Conn, error) {
	if l.fails > 0 {
		l.fails--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.pipes.Accept()
}

// Running out of descriptors pauses accept: it neither spins nor ends.
func TestOutOfFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ln := newNode(t, nil), &shortOfFiles{newPipes(), 10}
		served := make(chan error, 1)
		began := time.Now()
		go func() { served <- n.Serve(t.Context(), ln) }()
		newClient(t, ln.dial(), "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
		if d := time.Since(began); d != 10*media.AcceptRetry {
			t.Errorf("accepted after %v, want %v", d, 10*media.AcceptRetry)
		}
		n.stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestMaxConns(t *testing.T) {
	limit := func(c *setup) { c.Ingest.MaxConns = 2 }
	inBubble(t, limit, func(n *node, p *pipes) {
		t := n.t
		for i := range 3 {
			nc := p.dial()
			defer nc.Close()
			if i < 2 {
				continue
			}
			if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("connection %d reads %v, want EOF", i, err)
			}
		}
		if v := n.metric("tmms_origin_refused_connections_total"); v != 1 {
			t.Errorf("%v connections refused, want 1", v)
		}
	})
}

// Of connections that do not ask to publish the oldest go first.
func TestMaxPending(t *testing.T) {
	inBubble(t, nil, func(n *node, p *pipes) {
		t := n.t
		publisher := newClient(t, p.dial(), "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
		first := p.dial()
		defer first.Close()
		for range media.MaxPendingConns {
			nc := p.dial()
			defer nc.Close()
		}
		began := time.Now()
		if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) != 0 {
			t.Errorf("the oldest connection reads %v after %v, want EOF at once", err, time.Since(began))
		}
		publisher.send(media.TypeAudio, 0, audioFrame)
		synctest.Wait()
		if n.live("test").Packets() != 2 { // with the metadata
			t.Error("the publisher was closed")
		}
	})
}
