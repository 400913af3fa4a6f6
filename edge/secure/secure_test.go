//go:build linux

package secure

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/media"
)

// slow passes on one byte at a time, both ways.
type slow struct{ net.Conn }

func (s slow) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func (s slow) Read(b []byte) (int, error) { return s.Conn.Read(b[:min(1, len(b))]) }

func version(v uint16) func(*tls.Config) {
	return func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v }
}

func TestHandshakeByteByByte(t *testing.T) {
	w := start(t, Route{Open: echo})
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := w.over(slow{w.raw()}, version(v))
		exchange(t, c, "all is well")
		exchange(t, c, strings.Repeat("x", 5000))
		if got := c.ConnectionState().Version; got != v {
			t.Errorf("version %#x, want %#x", got, v)
		}
	}
	if n := w.server.Handshakes(ResultOK); n != 2 {
		t.Errorf("%d handshakes", n)
	}
	eventually(t, "no handshake is under way", func() bool { return w.server.InFlight() == 0 })
}

func TestBytesBehindTheHandshakeAreNotLost(t *testing.T) {
	w := start(t, Route{Open: echo})
	nc := &corked{Conn: w.raw()}
	c := w.over(nc) // the client's Finished is held back, and goes with the request
	exchange(t, c, "early")
}

// corked holds back what follows the first write until something else is written.
type corked struct {
	net.Conn
	writes int
	held   []byte
}

func (c *corked) Write(b []byte) (int, error) {
	if c.writes++; c.writes == 2 {
		c.held = bytes.Clone(b)
		return len(b), nil
	}
	c.held = append(c.held, b...)
	_, err := c.Conn.Write(c.held)
	c.held = nil
	return len(b), err
}

func TestOldVersionsAreRefused(t *testing.T) {
	w := start(t, Route{Open: echo})
	c := tls.Client(w.raw(), &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	})
	if err := c.Handshake(); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("handshake of TLS 1.1: %v", err)
	}
	eventually(t, "the failure is counted", func() bool { return w.server.Handshakes(ResultFailed) == 1 })
}

func TestWhatIsNoTLSIsRefusedAtOnce(t *testing.T) {
	w := start(t, Route{Open: echo})
	random := make([]byte, 1<<10)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	cases := []struct{ name, raw, want string }{
		{"http", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", notTLS},
		{"rtmp", "\x03" + strings.Repeat("r", 1536), alertProtocolVersion},
		{"version", "\x16\x02\x00\x00\x05hello", alertProtocolVersion},
		{"empty-record", "\x16\x03\x01\x00\x00", alertProtocolVersion},
		{"long-record", "\x16\x03\x01\x40\x01", alertProtocolVersion},
		{"application-data", "\x17\x03\x03\x00\x05hello", alertProtocolVersion},
		{"no-hello", "\x16\x03\x01\x00\x05hello", "\x15\x03"},
		{"random", "\x16\x03\x01\x03\xf0" + string(random), "\x15\x03"},
	}
	for _, c := range cases {
		nc := w.raw()
		if _, err := io.WriteString(nc, c.raw); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(nc)
		if err != nil || !strings.HasPrefix(string(got), c.want) {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
		_ = nc.Close()
	}
	eventually(t, "all are counted", func() bool { return w.server.Handshakes(ResultFailed) == uint64(len(cases)) })
	eventually(t, "all have ended for it", func() bool { return w.gate.EndedBy(viewer.ReasonProtocol) == int64(len(cases)) })
	if _, body, _ := strings.Cut(notTLS, "\r\n\r\n"); len(body) != 32 {
		t.Errorf("Content-Length is wrong: the text has %d bytes", len(body))
	}
}

func TestTooMuchBeforeTheHandshakeIsOver(t *testing.T) {
	w := start(t, Route{Open: echo})
	nc := w.raw()
	hello := clientHello(t)
	go nc.Write(append(hello, make([]byte, media.MaxTLSHandshakeBytes)...)) //nolint:errcheck // it is refused meanwhile
	_, _ = io.Copy(io.Discard, nc)
	eventually(t, "it is refused", func() bool { return w.server.Handshakes(ResultFailed) == 1 })
	eventually(t, "its goroutine has ended", func() bool { return w.server.InFlight() == 0 })
}

func TestAHandshakeHasADeadline(t *testing.T) {
	w := start(t, Route{Open: echo})
	silent, half := w.raw(), w.raw()
	if _, err := half.Write(clientHello(t)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{silent, half} {
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	}
	eventually(t, "both are counted", func() bool { return w.server.Handshakes(ResultTimeout) == 2 })
	eventually(t, "no handshake is under way", func() bool { return w.server.InFlight() == 0 })
}

// clientHello is a client's first flight.
func clientHello(tb testing.TB) []byte {
	tb.Helper()
	near, far := net.Pipe()
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, 16<<10)
		n, _ := far.Read(b)
		far.Close()
		got <- b[:n]
	}()
	_ = tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake()
	return <-got
}

func TestTheOldestHandshakeMakesRoom(t *testing.T) {
	var q queue
	all := make([]*handshake, media.MaxTLSHandshakes+1)
	for i := range all {
		all[i] = &handshake{feed: newFeed(nil, nil, nil)}
		q.enter(all[i])
	}
	if err := all[0].feed.cause(); !errors.Is(err, viewer.ErrFull) || resultOf(err) != ResultBusy {
		t.Errorf("the oldest ends with %v", err)
	}
	if err := all[1].feed.cause(); err != nil || q.len() != media.MaxTLSHandshakes {
		t.Errorf("the next ends with %v, %d are left", err, q.len())
	}
	for _, h := range all {
		q.leave(h)
	}
	if n := q.len(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// sender sends size bytes when it is asked, by Send or SendLater.
type sender struct {
	proto
	data  []byte
	later bool
	short int
}

func (s *sender) OnData(c *reactor.Conn, _ []byte) { s.send(c) }

func (s *sender) OnWritable(c *reactor.Conn) { s.send(c) }

func (s *sender) OnSent(n, asked int, _ error) {
	s.data = s.data[n:]
	if n < asked {
		s.short++
	}
}

func (s *sender) send(c *reactor.Conn) {
	for short := s.short; len(s.data) > 0 && s.short == short; {
		piece := s.data[:min(len(s.data), 300_000)]
		if s.later {
			c.SendLater(piece, s)
			c.Loop().Submit()
			continue
		}
		n, err := c.Send(piece)
		if err != nil {
			return
		}
		s.OnSent(n, len(piece), nil)
	}
	if len(s.data) == 0 && c.Pending() == 0 {
		c.CloseAfterFlush(viewer.ErrDone)
	}
}

func TestALargeFlushToASlowReaderArrivesWhole(t *testing.T) {
	data := make([]byte, 12<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	want := sha256.Sum256(data)
	for _, later := range []bool{false, true} {
		short := make(chan int, 1)
		w := start(t, Route{Open: func(*reactor.Conn) reactor.Protocol {
			s := &sender{data: data, later: later}
			s.closed = func(*reactor.Conn, error) { short <- s.short }
			return s
		}})
		nc := w.raw()
		if err := nc.SetReadBuffer(16 << 10); err != nil {
			t.Fatal(err)
		}
		c := w.over(nc)
		if _, err := io.WriteString(c, "go"); err != nil {
			t.Fatal(err)
		}
		sum, n := sha256.New(), 0
		b := make([]byte, 10_000)
		for {
			k, err := c.Read(b)
			sum.Write(b[:k])
			n += k
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes: %v", n, err)
			}
		}
		_ = c.Close()
		if n != len(data) || [32]byte(sum.Sum(nil)) != want {
			t.Errorf("%d bytes of %d, or others", n, len(data))
		}
		if k := <-short; k == 0 {
			t.Error("no send was short: the test shows nothing")
		}
	}
}

func TestTheLastRecordIsCloseNotify(t *testing.T) {
	w := start(t, Route{Open: func(*reactor.Conn) reactor.Protocol { return &sender{data: []byte("answer")} }})
	heard := &recorder{Conn: w.raw()}
	c := w.over(heard, version(tls.VersionTLS12)) // whose records show their type
	if _, err := io.WriteString(c, "go"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "answer" {
		t.Errorf("got %q, %v", b, err)
	}
	_ = c.Close()
	const typeAlert = 21
	var last byte
	for b := heard.bytes; len(b) >= headerSize; b = b[headerSize+int(b[3])<<8+int(b[4]):] {
		last = b[0]
	}
	if last != typeAlert {
		t.Errorf("the last record is of type %d", last)
	}
}

// recorder keeps what was read.
type recorder struct {
	net.Conn
	bytes []byte
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.bytes = append(r.bytes, b[:n]...)
	return n, err
}

func TestThePeersCloseNotifyIsItsEnd(t *testing.T) {
	reason := make(chan error, 1)
	w := start(t, Route{Open: func(*reactor.Conn) reactor.Protocol {
		return &proto{closed: func(_ *reactor.Conn, err error) { reason <- err }}
	}})
	c := w.dial()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := <-reason; !errors.Is(err, io.EOF) {
		t.Errorf("reason %v, want EOF", err)
	}
}

func TestADamagedRecordIsAnsweredWithAnAlert(t *testing.T) {
	reason := make(chan error, 1)
	w := start(t, Route{Open: func(*reactor.Conn) reactor.Protocol {
		return &proto{closed: func(_ *reactor.Conn, err error) { reason <- err }}
	}})
	nc := w.raw()
	c := w.over(nc)
	if _, err := io.WriteString(nc, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 32)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("the peer sees %v", err)
	}
	_ = nc.Close()
	if err := <-reason; viewer.ReasonOf(err) != viewer.ReasonProtocol {
		t.Errorf("reason %v", err)
	}
}

func TestNoGoroutineIsLeftPerConnection(t *testing.T) {
	w := start(t, Route{Open: echo})
	exchange(t, w.dial(), "warm up")
	eventually(t, "it is over", func() bool { return w.server.InFlight() == 0 })
	before := runtime.NumGoroutine()
	for range 200 {
		exchange(t, w.dial(), "hello")
	}
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+5 })
}

func TestAProtocolThatLoopsDoNotSpeakIsMoved(t *testing.T) {
	moved := make(chan string, 1)
	w := start(t, Route{
		Open: echo, Protos: []string{"http/1.1"},
		Moved: map[string]func(*tls.Conn){"x-echo": func(c *tls.Conn) {
			moved <- c.ConnectionState().NegotiatedProtocol
			_, _ = io.Copy(c, c)
		}},
	})
	offer := func(protos ...string) func(*tls.Config) { return func(c *tls.Config) { c.NextProtos = protos } }
	c := w.dial(offer("http/1.1", "x-echo"))
	exchange(t, c, "off the loop")
	exchange(t, c, strings.Repeat("off the loop", 10_000))
	if p := <-moved; p != "x-echo" || w.server.Moved() != 1 {
		t.Errorf("%s, %d moved", p, w.server.Moved())
	}
	exchange(t, w.dial(offer("http/1.1")), "on the loop")
	exchange(t, w.dial(), "without an offer")
	bad := tls.Client(w.raw(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"other"}})
	if err := bad.Handshake(); err == nil {
		t.Error("an unknown protocol was agreed on")
	}
	w.stop()                      // closes what was moved
	_, _ = io.Copy(io.Discard, c) // it ends, one way or another
	if n := w.server.Moved(); n != 0 {
		t.Errorf("%d moved connections are left", n)
	}
}

func TestAConnectionIsTakenOffItsLoopInTheMiddle(t *testing.T) {
	type taken struct {
		open func() (net.Conn, error)
		read string
	}
	got := make(chan taken, 1)
	w := start(t, Route{Open: func(*reactor.Conn) reactor.Protocol {
		return &proto{data: func(c *reactor.Conn, b []byte) {
			text := string(b)
			open, err := c.Take()
			if err != nil {
				t.Error(err)
			}
			got <- taken{open, text}
		}}
	}})
	nc := &gathering{Conn: w.raw()}
	c := w.over(nc)
	nc.hold = true
	for _, s := range []string{"first", "second", "third"} { // a record each, in one segment
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.flush(); err != nil {
		t.Fatal(err)
	}
	x := <-got
	server, err := x.open()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if x.read != "first" {
		t.Errorf("the loop has read %q", x.read)
	}
	b := make([]byte, len("secondthird"))
	if _, err := io.ReadFull(server, b); err != nil || string(b) != "secondthird" {
		t.Errorf("then comes %q, %v", b, err)
	}
	go io.Copy(server, server) //nolint:errcheck // ends with the connection
	exchange(t, c, "and so on")
	_ = c.Close()
	if err := server.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Error(err)
	}
}

// gathering holds writes back.
type gathering struct {
	net.Conn
	hold bool
	held []byte
}

func (g *gathering) Write(b []byte) (int, error) {
	if g.hold {
		g.held = append(g.held, b...)
		return len(b), nil
	}
	return g.Conn.Write(b)
}

func (g *gathering) flush() error {
	g.hold = false
	_, err := g.Conn.Write(g.held)
	return err
}

func FuzzHello(f *testing.F) {
	f.Add([]byte{})
	f.Add(clientHello(f))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x16\x03\x01\x00\x00"))
	f.Add([]byte("\x16\x03\x01\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err := checkHello(b)
		if whole && (err != nil || len(b) < headerSize+1) {
			t.Errorf("%d bytes: %v, %v", len(b), whole, err)
		}
		for i := range b { // what is refused early is refused for good
			if _, early := checkHello(b[:i]); early != nil && err == nil {
				t.Fatalf("refused after %d bytes, not after %d", i, len(b))
			}
		}
	})
}
