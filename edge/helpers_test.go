package edge

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/flv"
	wire "tmms/media/rtmp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// apps is a config that never changes: domain default (alias *) with the apps
// live, fast, brisk (latency target 1 s), mute (nothing may be played) and, in domain other.example, live.
type apps struct{ config *state.Config }

func (a apps) Config() *state.Config { return a.config }

func newApps(tb testing.TB) apps {
	tb.Helper()
	off := false
	brisk := state.Duration(slowLatency)
	c, err := state.NewConfig(1, &state.Document{Domains: []state.DomainDoc{
		{Name: "default", Aliases: []string{"*"}, Apps: []state.AppDoc{
			{Name: "live"},
			{Name: "fast", Flush: "5ms"},
			{Name: "brisk", Latency: &brisk},
			{Name: "mute", RTMP: &off, FLV: &off, HLS: &state.HLSDoc{Enabled: &off}},
		}},
		{Name: "other.example", Apps: []state.AppDoc{{Name: "live"}}},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return apps{c}
}

// node is an edge that runs for the time of a test.
type node struct {
	tb       testing.TB
	edge     *Edge
	hub      *relay.Hub
	registry *prometheus.Registry
	rtmp     string // address
	http     string // address
	url      string // of the HTTP port
	tls      bool   // the addresses are those of the TLS ports
}

func startNode(tb testing.TB, change ...func(*Config, *Deps)) *node {
	tb.Helper()
	n := &node{tb: tb, hub: relay.NewHub(), registry: prometheus.NewRegistry()}
	cfg := DefaultConfig()
	cfg.RTMP, cfg.HTTP, cfg.Loops = "127.0.0.1:0", "127.0.0.1:0", 2
	deps := Deps{Hub: n.hub, Apps: newApps(tb), Registerer: n.registry}
	for _, f := range change {
		f(&cfg, &deps)
	}
	e, err := New(cfg, deps)
	if err != nil {
		tb.Fatal(err)
	}
	n.edge = e
	n.rtmp, n.http = e.Addrs().RTMP.String(), e.Addrs().HTTP.String()
	n.url = "http://" + n.http
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("run: %v", err)
			}
		case <-time.After(10 * time.Second):
			tb.Error("the edge does not end")
		}
		if n := len(e.web.HLSInfo(0, 1)); n != 0 {
			tb.Errorf("%d HLS sessions are left", n)
		}
	})
	return n
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			tb.Fatalf("it never came that %s", what)
		case <-tick.C:
		}
	}
}

func (n *node) dial(addr string) net.Conn {
	n.tb.Helper()
	c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		n.tb.Fatal(err)
	}
	n.tb.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		n.tb.Fatal(err)
	}
	if n.tls {
		return tls.Client(c, clientTLS())
	}
	return c
}

func testKey(app, stream string) media.StreamKey {
	return media.StreamKey{Domain: "default", App: app, Stream: stream}
}

// Bodies as an encoder pushes them.
var (
	metadataBody = append([]byte{2, 0, 10}, "onMetaData\x08\x00\x00\x00\x00\x00\x00\x09"...)
	audioHeader  = []byte{0xAF, 0, 0x12, 0x10}
	videoHeader  = []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1F, 0xFF, 0xE1, 0, 0, 1, 0, 0}
)

// publisher writes a stream straight into the hub: 25 pictures a second, a
// keyframe each second, 50 audio frames.
type publisher struct {
	tb   testing.TB
	w    *relay.Writer
	id   media.PacketID
	dts  media.Timestamp
	all  []media.Packet
	size int
	done atomic.Bool
}

func (n *node) publish(key media.StreamKey) *publisher {
	n.tb.Helper()
	w, err := n.hub.Publish(key, 7, relay.LiveOptions{})
	if err != nil {
		n.tb.Fatal(err)
	}
	p := &publisher{tb: n.tb, w: w, id: media.PacketID{Epoch: 7}, size: 900}
	n.tb.Cleanup(p.end)
	p.push(media.TypeData, media.KindData, metadataBody)
	p.push(media.TypeAudio, media.KindConfig, audioHeader)
	p.push(media.TypeVideo, media.KindConfig, videoHeader)
	return p
}

func (p *publisher) end() {
	if p.done.CompareAndSwap(false, true) {
		p.w.End()
	}
}

func (p *publisher) push(typ media.Type, kind media.Kind, body []byte) {
	if kind == media.KindKey {
		p.id.Group++
		p.id.Index = 0
	}
	pkt := media.Packet{ID: p.id, Type: typ, Kind: kind, DTS: p.dts, Body: body}
	p.id.Index++
	if err := p.w.Append(&pkt); err != nil {
		p.tb.Error(err)
	}
	p.all = append(p.all, pkt)
}

func (p *publisher) frame(key bool) {
	size, kind, first := p.size, media.KindDelta, byte(0x27)
	if key {
		size, kind, first = 5*p.size, media.KindKey, 0x17
	}
	body := make([]byte, size)
	body[0], body[1] = first, 1
	binary.BigEndian.PutUint64(body[5:], uint64(len(p.all)))
	p.push(media.TypeVideo, kind, body)
	for range 2 {
		audio := make([]byte, 200)
		audio[0], audio[1] = 0xAF, 1
		binary.BigEndian.PutUint64(audio[2:], uint64(len(p.all)))
		p.push(media.TypeAudio, media.KindAudio, audio)
		p.dts += 20
	}
}

func (p *publisher) group() {
	for i := range 25 {
		p.frame(i == 0)
	}
}

// want is the tags that a viewer gets who joins at the first keyframe: the
// configs with that frame's time, then everything from it on.
func (p *publisher) want() []flv.Tag {
	first := 3
	dts := uint32(p.all[first].DTS)
	tags := []flv.Tag{
		{Type: media.TypeData, Timestamp: 0, Body: metadataBody},
		{Type: media.TypeAudio, Timestamp: dts, Body: audioHeader},
		{Type: media.TypeVideo, Timestamp: dts, Body: videoHeader},
	}
	for i := range p.all[first:] {
		pkt := &p.all[first+i]
		tags = append(tags, flv.Tag{Type: pkt.Type, Timestamp: uint32(pkt.DTS), Body: pkt.Body})
	}
	return tags
}

// sameTags compares by type, time and every byte.
func sameTags(tb testing.TB, got, want []flv.Tag) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Errorf("got %d tags, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.Type != w.Type || g.Timestamp != w.Timestamp || string(g.Body) != string(w.Body) {
			tb.Fatalf("tag %d is %v at %d with %d bytes, want %v at %d with %d bytes",
				i, g.Type, g.Timestamp, len(g.Body), w.Type, w.Timestamp, len(w.Body))
		}
	}
}

// rtmpClient drives a media/rtmp client over a socket.
type rtmpClient struct {
	tb   testing.TB
	conn net.Conn
	c    *wire.ClientConn
	buf  []byte
	rest []byte
}

func (n *node) rtmpClient(role wire.Role, url string) *rtmpClient {
	n.tb.Helper()
	u, err := wire.ParseURL(url)
	if err != nil {
		n.tb.Fatal(err)
	}
	return &rtmpClient{
		tb: n.tb, conn: n.dial(n.rtmp), c: wire.NewClientConn(wire.ClientConfig{URL: u, Role: role}), buf: make([]byte, 64<<10),
	}
}

// next is the next event; io errors are returned.
func (c *rtmpClient) next() (wire.Event, error) {
	for {
		n, ev, err := c.c.Feed(c.rest)
		c.rest = c.rest[n:]
		if err != nil {
			return ev, err
		}
		if ev.Kind != wire.EventNone {
			if ev.Kind == wire.EventMessage {
				ev.Message.Body = append([]byte(nil), ev.Message.Body...)
			}
			return ev, nil
		}
		if err = c.flush(); err != nil {
			return ev, err
		}
		k, err := c.conn.Read(c.buf)
		if err != nil {
			return ev, err
		}
		c.rest = c.buf[:k]
	}
}

func (c *rtmpClient) flush() error {
	out := c.c.Output()
	n, err := c.conn.Write(out)
	c.c.Sent(n)
	return err
}

// tags reads messages until n of them came (n < 0: until the stream's end).
func (c *rtmpClient) tags(n int) []flv.Tag {
	c.tb.Helper()
	var tags []flv.Tag
	for n < 0 || len(tags) < n {
		ev, err := c.next()
		if err != nil {
			c.tb.Fatalf("rtmp after %d messages: %v", len(tags), err)
		}
		switch ev.Kind {
		case wire.EventMessage:
			tags = append(tags, flv.Tag{Type: ev.Message.Type, Timestamp: ev.Message.Timestamp, Body: ev.Message.Body})
		case wire.EventEOF:
			if n < 0 {
				return tags
			}
			c.tb.Fatalf("end of stream after %d messages", len(tags))
		case wire.EventRefused:
			c.tb.Fatalf("refused: %+v", ev.Status)
		default:
		}
	}
	return tags
}

// parseFLV takes a whole FLV body apart.
func parseFLV(tb testing.TB, b []byte) []flv.Tag {
	tb.Helper()
	head := flv.AppendHeader(nil, true, true)
	if len(b) < len(head) || string(b[:len(head)]) != string(head) {
		tb.Fatalf("body begins with %x, want %x", b[:min(len(b), len(head))], head)
	}
	return parseTags(tb, b[len(head):])
}

func parseTags(tb testing.TB, b []byte) (tags []flv.Tag) {
	tb.Helper()
	for len(b) > 0 {
		t, n, err := flv.ParseTag(b)
		if errors.Is(err, flv.ErrShort) {
			tb.Fatalf("%d bytes behind the last whole tag", len(b))
		}
		if err != nil {
			tb.Fatal(err)
		}
		tags = append(tags, t)
		b = b[n:]
	}
	return tags
}
