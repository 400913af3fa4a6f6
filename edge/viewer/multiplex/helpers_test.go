package multiplex

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/edge/fanout"
	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/edge/viewer/web"
	"tmms/media"
	"tmms/media/flv"
	"tmms/media/hls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a condition may take on a busy machine.
const patience = 30 * time.Second

// eventually waits for a condition.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	deadline := time.After(patience)
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

// certificate makes one for 127.0.0.1, and the pool that trusts it.
func certificate(tb testing.TB) (tls.Certificate, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// served is a Server with sockets on loopback, for the time of a test.
type served struct {
	tb     testing.TB
	server *Server
	roots  *x509.CertPool
	tcp    string // address of HTTP/2
	udp    string // of HTTP/3
	stop   func() // ends it; again: nothing
}

// serve runs a Server of a handler.
func serve(tb testing.TB, handler http.Handler) *served {
	tb.Helper()
	cert, roots := certificate(tb)
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	packets, err := (&net.ListenConfig{}).ListenPacket(tb.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s, err := New(Config{Packets: packets, Log: slog.New(slog.DiscardHandler)}, handler, config)
	if err != nil {
		tb.Fatal(err)
	}
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		tb.Fatal(err)
	}
	v := &served{tb: tb, server: s, roots: roots, tcp: ln.Addr().String(), udp: packets.LocalAddr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := s.Run(ctx); err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	group.Go(func() { accept(ctx, ln, s, &group) })
	v.stop = sync.OnceFunc(func() {
		cancel()
		ln.Close()
		group.Wait()
	})
	tb.Cleanup(v.stop)
	return v
}

// accept does the handshakes that are others' work.
func accept(ctx context.Context, ln net.Listener, s *Server, group *sync.WaitGroup) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		group.Go(func() {
			if t, ok := c.(*tls.Conn); !ok || t.HandshakeContext(ctx) != nil {
				c.Close()
				return
			}
			s.ServeConn(c)
		})
	}
}

// window is the flow control window of a test's client, in bytes.
const window = 64 << 10

// client is one of the two protocols' clients.
type client struct {
	tb    testing.TB
	proto string // "HTTP/2.0" or "HTTP/3.0"
	base  string
	http  *http.Client
}

// h2 is a client with connections of its own.
func (v *served) h2() *client {
	v.tb.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	t := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: v.roots, MinVersion: tls.VersionTLS12}, Protocols: protocols,
		HTTP2:              &http.HTTP2Config{MaxReceiveBufferPerStream: window},
		DisableCompression: true,
	}
	v.tb.Cleanup(t.CloseIdleConnections)
	return &client{tb: v.tb, proto: "HTTP/2.0", base: "https://" + v.tcp, http: &http.Client{Transport: t}}
}

// h3 is a client with a connection of its own.
func (v *served) h3() *client {
	v.tb.Helper()
	t := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: v.roots, MinVersion: tls.VersionTLS13},
		QUICConfig: &quic.Config{
			InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window,
			InitialConnectionReceiveWindow: 64 * window, MaxConnectionReceiveWindow: 512 * window,
		},
		DisableCompression: true,
	}
	v.tb.Cleanup(func() { _ = t.Close() })
	return &client{tb: v.tb, proto: "HTTP/3.0", base: "https://" + v.udp, http: &http.Client{Transport: t}}
}

// both are the two clients.
func (v *served) both() []*client { return []*client{v.h2(), v.h3()} }

// response is an answer whose body is closed with the test.
type response struct {
	proto  string
	code   int
	header http.Header
	length int64
	body   io.ReadCloser
}

// do asks.
func (c *client) do(ctx context.Context, method, path string, h http.Header) (*response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header = h.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	c.tb.Cleanup(func() { resp.Body.Close() })
	return &response{
		proto: resp.Proto, code: resp.StatusCode, header: resp.Header, length: resp.ContentLength, body: resp.Body,
	}, nil
}

// get asks and wants an answer by the client's protocol.
func (c *client) get(path string) *response {
	c.tb.Helper()
	resp, err := c.do(c.tb.Context(), http.MethodGet, path, nil)
	if err != nil {
		c.tb.Fatalf("%s %s: %v", c.proto, path, err)
	}
	if resp.proto != c.proto {
		c.tb.Fatalf("%s: answered by %s, want %s", path, resp.proto, c.proto)
	}
	return resp
}

func readAll(tb testing.TB, r io.Reader) []byte {
	tb.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatalf("after %d bytes: %v", len(b), err)
	}
	return b
}

// world is a node's store and loops, with HTTP/1.1 on the loops and the same by
// HTTP/2 and HTTP/3.
type world struct {
	*served
	hub     *relay.Hub
	gate    *viewer.Gate
	web     *web.Server
	reactor *reactor.Reactor
	engines []*fanout.Engine
	h1      string // address
}

// quickLatency is that of the app quick.
const quickLatency = 500 * time.Millisecond

type apps struct{ config *state.Config }

func (a apps) Config() *state.Config { return a.config }

func newWorld(tb testing.TB) *world {
	tb.Helper()
	off := false
	config, err := state.NewConfig(1, &state.Document{Domains: []state.DomainDoc{{
		Name: "default", Aliases: []string{"*"}, Apps: []state.AppDoc{
			{Name: "live"}, {Name: "quick", Latency: new(state.Duration(quickLatency))}, {Name: "mute", RTMP: &off, FLV: &off, HLS: &state.HLSDoc{Enabled: &off}},
		},
	}}})
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{hub: relay.NewHub(), gate: viewer.NewGate(0)}
	log := slog.New(slog.DiscardHandler)
	w.web, err = web.NewServer(web.Config{Hub: w.hub, Apps: apps{config}, Gate: w.gate, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	rc := reactor.DefaultConfig()
	rc.Loops = 2
	if w.reactor, err = reactor.New(rc); err != nil {
		tb.Fatal(err)
	}
	var loops []*web.Loop
	for _, l := range w.reactor.Loops() {
		engine := fanout.New(fanout.Config{Hub: w.hub, Submit: l.Submit})
		loop := w.web.Loop(l, engine)
		l.OnTick(engine.OnTick)
		l.OnTick(loop.OnTick)
		w.engines, loops = append(w.engines, engine), append(loops, loop)
	}
	addr, err := w.reactor.Listen("127.0.0.1:0", func(c *reactor.Conn) reactor.Protocol {
		return loops[c.Loop().Index()].Open(c)
	})
	if err != nil {
		tb.Fatal(err)
	}
	w.h1 = addr.String()
	handler := w.web.Handler(loops)
	w.runLoops(tb, handler.Wait)
	w.served = serve(tb, handler)
	return w
}

// runLoops runs the loops until the test is over; after that the hub must be empty.
func (w *world) runLoops(tb testing.TB, wait func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.reactor.Run(ctx) }()
	tb.Cleanup(func() {
		w.served.stop() // after its handlers
		wait()
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("loops: %v", err)
		}
		w.web.Close()
		if n := w.hub.Len(); n != 0 {
			tb.Errorf("%d feeds are left", n)
		}
		if n := w.gate.Viewers(); n != 0 {
			tb.Errorf("%d viewers are left at the gate", n)
		}
	})
}

// viewers is the number of FLV viewers on all loops.
func (w *world) viewers() (n int64) {
	for _, e := range w.engines {
		n += e.Stats().Viewers(fanout.FLV)
	}
	return n
}

func (w *world) skips() (n int64) {
	for _, e := range w.engines {
		n += e.Stats().Skips()
	}
	return n
}

// sent is the bytes that the viewers' pipes and sockets have taken.
func (w *world) sent() (n int64) {
	for _, e := range w.engines {
		n += e.Stats().Sent(fanout.FLV)
	}
	return n
}

// Bodies as an encoder pushes them.
var (
	metadataBody = append([]byte{2, 0, 10}, "onMetaData\x08\x00\x00\x00\x00\x00\x00\x00\x09"...)
	audioHeader  = []byte{0xAF, 0, 0x12, 0x10}
	videoHeader  = []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1F, 0xFF, 0xE1, 0, 0, 1, 0, 0}
)

// publisher writes a stream straight into the hub: 25 pictures a second, a
// keyframe each second, as many sounds.
type publisher struct {
	tb   testing.TB
	w    *relay.Writer
	id   media.PacketID
	dts  media.Timestamp
	all  []media.Packet
	size int // of a picture; keyframes have five times that
	end  func()
}

func (w *world) publish(stream string) *publisher {
	w.tb.Helper()
	return w.publishIn("live", stream)
}

func (w *world) publishIn(app, stream string) *publisher {
	w.tb.Helper()
	key := media.StreamKey{Domain: "default", App: app, Stream: stream}
	writer, err := w.hub.Publish(key, 7, relay.LiveOptions{Keep: time.Hour})
	if err != nil {
		w.tb.Fatal(err)
	}
	p := &publisher{tb: w.tb, w: writer, id: media.PacketID{Epoch: 7}, size: 900, end: sync.OnceFunc(writer.End)}
	w.tb.Cleanup(p.end)
	p.push(media.TypeData, media.KindData, metadataBody)
	p.push(media.TypeAudio, media.KindConfig, audioHeader)
	p.push(media.TypeVideo, media.KindConfig, videoHeader)
	return p
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

// group is a second of stream.
func (p *publisher) group() {
	for i := range 25 {
		size, kind, first := p.size, media.KindDelta, byte(0x27)
		if i == 0 {
			size, kind, first = 5*p.size, media.KindKey, 0x17
		}
		video := make([]byte, size)
		video[0], video[1] = first, 1
		binary.BigEndian.PutUint64(video[5:], uint64(len(p.all)))
		p.push(media.TypeVideo, kind, video)
		audio := make([]byte, 200)
		audio[0], audio[1] = 0xAF, 1
		binary.BigEndian.PutUint64(audio[2:], uint64(len(p.all)))
		p.push(media.TypeAudio, media.KindAudio, audio)
		p.dts += 40
	}
}

// want is the tags of a viewer who joins at the first keyframe.
func (p *publisher) want() []flv.Tag {
	const configs = 3
	dts := uint32(p.all[configs].DTS)
	tags := []flv.Tag{
		{Type: media.TypeData, Timestamp: 0, Body: metadataBody},
		{Type: media.TypeAudio, Timestamp: dts, Body: audioHeader},
		{Type: media.TypeVideo, Timestamp: dts, Body: videoHeader},
	}
	for i := range p.all[configs:] {
		pkt := &p.all[configs+i]
		tags = append(tags, flv.Tag{Type: pkt.Type, Timestamp: uint32(pkt.DTS), Body: pkt.Body})
	}
	return tags
}

// parseFLV takes a whole FLV body apart.
func parseFLV(tb testing.TB, b []byte) (tags []flv.Tag) {
	tb.Helper()
	b, ok := bytes.CutPrefix(b, flv.AppendHeader(nil, true, true))
	if !ok {
		tb.Fatalf("body begins with %x", b[:min(len(b), 13)])
	}
	for len(b) > 0 {
		t, n, err := flv.ParseTag(b)
		if err != nil {
			tb.Fatalf("tag %d: %v, with %d bytes left", len(tags), err, len(b))
		}
		tags, b = append(tags, t), b[n:]
	}
	return tags
}

func sameTags(tb testing.TB, got, want []flv.Tag) {
	tb.Helper()
	same := slices.EqualFunc(got, want, func(a, b flv.Tag) bool {
		return a.Type == b.Type && a.Timestamp == b.Timestamp && bytes.Equal(a.Body, b.Body)
	})
	if !same {
		tb.Errorf("got %d tags that differ from the %d that are wanted", len(got), len(want))
	}
}

// index makes an index of n segments of two chunks each, from msn 100 on.
func index(n int) *hls.Index {
	x := &hls.Index{Version: 3, Listing: 3, Epoch: 7, Target: 2 * time.Second, Listed: n, Independent: true}
	for i := range uint64(n) {
		chunks := [][]byte{bytes.Repeat([]byte{byte(i), 1}, 100_000), bytes.Repeat([]byte{byte(i), 2}, 250_000)}
		x.Segments = append(x.Segments, &hls.Segment{
			Epoch: 7, MSN: 100 + i, Duration: 2 * time.Second, ProgramTime: time.Unix(1_700_000_000+int64(i), 0),
			TS: &hls.Media{Chunks: chunks, Size: len(chunks[0]) + len(chunks[1])},
		})
	}
	return x
}

// lowLatency adds the open segment with so many parts.
func lowLatency(x *hls.Index, parts int) *hls.Index {
	x.Target, x.PartTarget = time.Second, 200*time.Millisecond
	x.Inits = []*hls.Init{{Epoch: 7, Version: 1, Data: []byte("init")}}
	x.Open = &hls.Segment{Epoch: 7, MSN: x.NextMSN(), ProgramTime: time.Unix(1_700_000_100, 0), Init: 1, MP4: &hls.Media{}}
	for i := range parts {
		b := bytes.Repeat([]byte{byte(i), 3}, 5_000)
		x.Open.Parts = append(x.Open.Parts, hls.Part{Duration: 200 * time.Millisecond, Size: len(b)})
		x.Open.MP4.Chunks, x.Open.MP4.Size = append(x.Open.MP4.Chunks, b), x.Open.MP4.Size+len(b)
		x.Open.Duration += 200 * time.Millisecond
	}
	return x
}

// tick is long enough for an answer that should not come.
func (c *client) tick() <-chan time.Time { return time.After(100 * time.Millisecond) }

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// dialSilent makes a QUIC connection on which nothing is asked.
func (v *served) dialSilent(t *testing.T) {
	t.Helper()
	config := &tls.Config{RootCAs: v.roots, NextProtos: []string{http3.NextProtoH3}, MinVersion: tls.VersionTLS13}
	c, err := quic.DialAddr(t.Context(), v.udp, config, &quic.Config{KeepAlivePeriod: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseWithError(0, "") })
}
