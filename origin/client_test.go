package origin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/bytelog"
	"tmms/media/rtmp"
	"tmms/origin"
	"tmms/origin/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// claims is the cluster of one node.
type claims struct {
	mu    sync.Mutex
	epoch uint64
	held  map[media.StreamKey]uint64
}

func (c *claims) Claim(_ context.Context, key media.StreamKey) (state.Placement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.held[key] = c.epoch
	return state.Placement{Epoch: c.epoch}, nil
}

func (c *claims) Release(_ context.Context, key media.StreamKey, epoch uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[key] == epoch {
		delete(c.held, key)
	}
	return nil
}

func (c *claims) Resume(context.Context, media.StreamKey, uint64) (state.Placement, error) {
	return state.Placement{}, state.ErrNotPlaced // there is nobody to lose a stream to
}

func (c *claims) Disown(context.Context) error { return nil }

func (c *claims) SetStandby(context.Context, state.SetStandby) (state.Placement, error) {
	return state.Placement{}, state.ErrNotPlaced
}

func (c *claims) Move(context.Context, media.StreamKey, uint64, string) (state.Placement, error) {
	return state.Placement{}, state.ErrNotPlaced
}

func (c *claims) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held)
}

// apps is a config that never changes.
type apps struct{ config *state.Config }

func (a apps) Config() *state.Config { return a.config }

// logBuffer collects log lines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// node is an origin with what it stands on, running.
type node struct {
	*origin.Origin

	t       *testing.T
	hub     *relay.Hub
	claims  *claims
	budget  *rtmp.Budget
	metrics *prometheus.Registry
	log     *logBuffer
	stop    func() // ends Run and waits for it
}

// testConfig has two domains: one that everybody falls back to, with an open
// app without HLS, and one with a keyed app.
func testConfig(t *testing.T) *state.Config {
	t.Helper()
	off, yes := false, true
	hls := func(on *bool) *state.HLSDoc { return &state.HLSDoc{Enabled: on} }
	c, err := state.NewConfig(1, &state.Document{Domains: []state.DomainDoc{
		{Name: "default", Aliases: []string{"*"}, Apps: []state.AppDoc{
			{Name: "live", HLS: hls(&off)},
			{Name: "hls", HLS: hls(&yes)},
			{Name: "ll", HLS: &state.HLSDoc{Enabled: &yes, LowLatency: true}},
			{Name: "first", HLS: hls(&off), BusyPolicy: state.BusyReject},
		}},
		{Name: "tv.example.com", Aliases: []string{"*.tv.example.com"}, Apps: []state.AppDoc{
			{Name: "live", HLS: hls(&off), Auth: &state.AuthDoc{Publish: &state.PublishAuthDoc{
				Keys: []string{state.HashKey("s3cret", []byte("0123456789abcdef"))},
			}}},
			{Name: "late", HLS: hls(&off)},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// setup is what a test may change of a node.
type setup struct {
	origin.Config

	budget  int64
	sockets ingest.Sockets // nil: publishers' goroutines read
}

func newNode(t *testing.T, change func(*setup)) *node {
	t.Helper()
	cfg := setup{Config: origin.DefaultConfig(), budget: media.MaxPartialBytesProcess, sockets: readers{}}
	cfg.Ingest.LendAbove = 0
	if change != nil {
		change(&cfg)
	}
	n := &node{
		t: t, hub: relay.NewHub(), claims: &claims{held: map[media.StreamKey]uint64{}}, log: &logBuffer{},
		budget: rtmp.NewBudget(cfg.budget), metrics: prometheus.NewRegistry(),
	}
	log := slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	n.Origin, err = origin.New(cfg.Config, origin.Deps{
		Hub: n.hub, Claims: n.claims, Apps: apps{testConfig(t)}, Budget: n.budget, Log: log,
		Registerer: n.metrics, Now: time.Now, Sockets: cfg.sockets,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s, h, p := len(n.Streams()), n.hub.Len(), n.claims.len(); s+h+p != 0 {
			t.Errorf("%d streams, %d feeds, %d placements are left after Run", s, h, p)
		}
	})
	t.Cleanup(n.stop)
	return n
}

// listen serves the node on loopback and gives the address.
func (n *node) listen() string {
	n.t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(n.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Serve(n.t.Context(), ln) }()
	n.t.Cleanup(func() {
		n.stop()
		if err := <-done; err != nil {
			n.t.Error(err)
		}
	})
	return ln.Addr().String()
}

// pipes is a listener whose connections are pipes, for tests with their own clock.
type pipes struct{ conns chan net.Conn }

func newPipes() *pipes { return &pipes{make(chan net.Conn)} }

func (p *pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p *pipes) Close() error {
	defer func() { recover() }() //nolint:errcheck // closing twice is fine
	close(p.conns)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

// waitFor polls until ok or 30 s have passed.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("timeout: ", what)
		}
		<-tick.C
	}
}

func (n *node) live(stream string) *relay.Live {
	for _, l := range n.hub.Lives() {
		if l.Key().Stream == stream {
			return l
		}
	}
	return nil
}

// waitPackets waits until the log of a stream holds count packets of its life.
func (n *node) waitPackets(stream string, count int64) *relay.Live {
	n.t.Helper()
	waitFor(n.t, "packets of "+stream, func() bool {
		l := n.live(stream)
		return l != nil && l.Packets() >= count
	})
	return n.live(stream)
}

type logged struct {
	bytelog.Entry

	body string
}

func entries(l *relay.Live) []logged {
	var list []logged
	r := l.Log().Reader(l.Log().Tail())
	for {
		e, raw, ok := r.Next()
		if !ok {
			return list
		}
		list = append(list, logged{e, string(e.Body(raw))})
	}
}

// client is an RTMP client on a connection, with a goroutine that reads and one
// that writes.
type client struct {
	t      *testing.T
	nc     net.Conn
	events chan rtmp.Event
	out    chan []byte
	quit   func()

	mu      sync.Mutex
	rtmp    *rtmp.ClientConn // guarded by mu
	ended   error            // guarded by mu; what the reader ended with
	silent  bool             // guarded by mu; do not answer
	endedAt time.Time        // guarded by mu
}

func newClient(t *testing.T, nc net.Conn, url string, order rtmp.Order) *client {
	t.Helper()
	return newClientWith(t, nc, rtmp.ClientConfig{Role: rtmp.RolePublish, Order: order}, url)
}

func newClientWith(t *testing.T, nc net.Conn, cfg rtmp.ClientConfig, url string) *client {
	t.Helper()
	var err error
	if cfg.URL, err = rtmp.ParseURL(url); err != nil {
		t.Fatal(err)
	}
	c := &client{
		t: t, nc: nc, events: make(chan rtmp.Event, 1024), out: make(chan []byte, 65536), rtmp: rtmp.NewClientConn(cfg),
	}
	stopped := make(chan struct{})
	c.quit = sync.OnceFunc(func() {
		nc.Close()
		close(stopped)
	})
	go c.write(stopped)
	go c.read()
	c.do(func(*rtmp.ClientConn) {})
	t.Cleanup(c.quit)
	return c
}

func dial(t *testing.T, addr, url string, order rtmp.Order) *client {
	t.Helper()
	return dialWith(t, addr, rtmp.ClientConfig{Role: rtmp.RolePublish, Order: order}, url)
}

func dialWith(t *testing.T, addr string, cfg rtmp.ClientConfig, url string) *client {
	t.Helper()
	nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClientWith(t, nc, cfg, url)
}

func (c *client) write(stopped <-chan struct{}) {
	for {
		select {
		case b := <-c.out:
			c.nc.Write(b) //nolint:errcheck // the reader tells
		case <-stopped:
			return
		}
	}
}

func (c *client) read() {
	defer close(c.events)
	buf := make([]byte, 4096)
	for {
		n, err := c.nc.Read(buf)
		for b := buf[:n]; len(b) > 0 && err == nil; {
			var k int
			var ev rtmp.Event
			c.do(func(rc *rtmp.ClientConn) { k, ev, err = rc.Feed(b) })
			b = b[k:]
			if ev.Kind != rtmp.EventNone {
				c.events <- ev
			}
		}
		if err != nil {
			c.mu.Lock()
			c.ended, c.endedAt = err, time.Now()
			c.mu.Unlock()
			return
		}
	}
}

// do runs f on the connection and sends what it has to say.
func (c *client) do(f func(*rtmp.ClientConn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c.rtmp)
	if out := c.rtmp.Output(); len(out) > 0 {
		if !c.silent {
			c.out <- bytes.Clone(out)
		}
		c.rtmp.Sent(len(out))
	}
}

// ready waits until the server lets the client publish.
func (c *client) ready() *client {
	c.t.Helper()
	if ev := <-c.events; ev.Kind != rtmp.EventReady {
		c.t.Fatalf("event %v with %+v, want ready", ev.Kind, ev.Status)
	}
	return c
}

// refused waits for the refusal and for the end of the connection.
func (c *client) refused() rtmp.Status {
	c.t.Helper()
	ev := <-c.events
	if ev.Kind != rtmp.EventRefused {
		c.t.Fatalf("event %v, want refused", ev.Kind)
	}
	c.closed()
	return *ev.Status
}

// closed waits for the end of the connection and gives the time of it.
func (c *client) closed() time.Time {
	for range c.events {
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endedAt
}

func (c *client) send(typ media.Type, ts uint32, body string) {
	c.do(func(rc *rtmp.ClientConn) {
		rc.Publish(rtmp.Message{Type: typ, Timestamp: ts, Body: []byte(body)})
	})
}

// command sends a command that ClientConn has no method for, in one chunk.
func (c *client) command(streamID uint32, name string, transaction float64, args ...amf0.Value) {
	body := amf0.AppendString(nil, name)
	body = amf0.AppendNumber(body, transaction)
	for _, a := range args {
		body = amf0.Append(body, a)
	}
	b := []byte{0x3f, 0, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), 20} // chunk stream 63, type 0
	b = binary.LittleEndian.AppendUint32(b, streamID)
	c.out <- append(b, body...)
}

// Bodies of messages.
const (
	videoConfig = "\x17\x00\x00\x00\x00"
	videoKey    = "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88"
	videoDelta  = "\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a"
	audioConfig = "\xaf\x00\x12\x10"
	audioFrame  = "\xaf\x01\x21\x10"
	onMetaData  = "\x02\x00\x0aonMetaData\x03\x00\x05width\x00\x40\x94\x00\x00\x00\x00\x00\x00\x00\x00\x09"
)

// publish sends ms of a stream: 3 headers, a picture each 40 ms, a keyframe each
// second, an audio frame each 20 ms. It gives the number of messages.
func (c *client) publish(start uint32, ms int) (count int64) {
	c.send(media.TypeData, start, onMetaData)
	c.send(media.TypeVideo, start, videoConfig)
	c.send(media.TypeAudio, start, audioConfig)
	count = 3
	for at := 0; at < ms; at += 20 {
		switch {
		case at%1000 == 0:
			c.send(media.TypeVideo, start+uint32(at), videoKey)
			count++
		case at%40 == 0:
			c.send(media.TypeVideo, start+uint32(at), videoDelta)
			count++
		}
		c.send(media.TypeAudio, start+uint32(at), audioFrame)
		count++
	}
	return count
}
