package fanout

import (
	"encoding/binary"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/flv"
)

var testKey = media.StreamKey{Domain: "default", App: "live", Stream: "test"}

// Bodies as an encoder pushes them.
var (
	metadataBody = append([]byte{2, 0, 10}, "onMetaData\x08\x00\x00\x00\x00\x00\x00\x09"...)
	audioHeader  = []byte{0xAF, 0, 0x12, 0x10}
	videoHeader  = []byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1F}
)

// publisher writes a life of the test stream: a keyframe each second, 25
// pictures and 50 audio frames a second.
type publisher struct {
	t    testing.TB
	w    *relay.Writer
	id   media.PacketID
	dts  media.Timestamp
	all  []media.Packet
	size int // bytes of a delta frame
}

func publish(tb testing.TB, hub *relay.Hub) *publisher {
	tb.Helper()
	return publishKeeping(tb, hub, 0)
}

// publishKeeping is publish with a log of its own length; 0 is the default, 6 s.
func publishKeeping(tb testing.TB, hub *relay.Hub, keep time.Duration) *publisher {
	tb.Helper()
	w, err := hub.Publish(testKey, 7, relay.LiveOptions{Keep: keep})
	if err != nil {
		tb.Fatal(err)
	}
	return &publisher{t: tb, w: w, id: media.PacketID{Epoch: 7}, size: 900}
}

func (p *publisher) headers() *publisher {
	p.push(media.TypeData, media.KindData, metadataBody)
	p.push(media.TypeAudio, media.KindConfig, audioHeader)
	p.push(media.TypeVideo, media.KindConfig, videoHeader)
	return p
}

func (p *publisher) push(typ media.Type, kind media.Kind, body []byte) {
	p.t.Helper()
	if kind == media.KindKey {
		p.id.Group++
		p.id.Index = 0
	}
	pkt := media.Packet{ID: p.id, Type: typ, Kind: kind, DTS: p.dts, Body: body}
	p.id.Index++
	if err := p.w.Append(&pkt); err != nil {
		p.t.Fatal(err)
	}
	p.all = append(p.all, pkt)
}

// frame pushes one picture with its audio, and 40 ms pass.
func (p *publisher) frame(key bool) {
	size, kind, first := p.size, media.KindDelta, byte(0x27)
	if key {
		size, kind, first = 5*p.size, media.KindKey, 0x17
	}
	body := make([]byte, size)
	binary.BigEndian.PutUint64(body[5:], uint64(len(p.all)))
	body[0], body[1] = first, 1
	p.push(media.TypeVideo, kind, body)
	for range 2 {
		audio := make([]byte, 200)
		binary.BigEndian.PutUint64(audio[2:], uint64(len(p.all)))
		audio[0], audio[1] = 0xAF, 1
		p.push(media.TypeAudio, media.KindAudio, audio)
		p.dts += 20
	}
}

// group pushes a second of the stream.
func (p *publisher) group() {
	for i := range 25 {
		p.frame(i == 0)
	}
}

// tags is the FLV bytes of packets.
func tags(packets []media.Packet) (b []byte) {
	for i := range packets {
		p := &packets[i]
		b = flv.AppendTag(b, flv.Tag{Type: p.Type, Timestamp: uint32(p.DTS), Body: p.Body})
	}
	return b
}

// fakeConn takes bytes as long as it has room.
type fakeConn struct {
	got   []byte
	room  int // bytes; -1: no end
	sends int
	err   error
}

func (c *fakeConn) Send(b []byte) (int, error) {
	c.sends++
	if c.err != nil {
		return 0, c.err
	}
	n := len(b)
	if c.room >= 0 {
		n = min(n, c.room)
		c.room -= n
	}
	c.got = append(c.got, b[:n]...)
	return n, nil
}

func (c *fakeConn) SendLater(b []byte, to Completion) {
	n, err := c.Send(b)
	to.OnSent(n, len(b), err)
}

// fakeSink is a protocol that says nothing but what it is told to.
type fakeSink struct {
	v        Viewer
	conn     fakeConn
	joined   int
	left     error
	leaves   int
	control  []byte
	controls []int // offsets in conn.got where control bytes went in
}

func (s *fakeSink) OnJoin()            { s.joined++ }
func (s *fakeSink) OnLeave(err error)  { s.left = err; s.leaves++ }
func (s *fakeSink) say(control string) { s.control = append(s.control, control...); s.v.Interrupt() }

func (s *fakeSink) SendControl() (bool, error) {
	at := len(s.conn.got)
	n, err := s.conn.Send(s.control)
	if n > 0 {
		s.controls = append(s.controls, at)
	}
	s.control = s.control[n:]
	return len(s.control) == 0, err
}

// rig is an engine with a clock that the test moves.
type rig struct {
	t   testing.TB
	hub *relay.Hub
	e   *Engine
	now time.Duration
}

func newRig(tb testing.TB, hub *relay.Hub) *rig {
	tb.Helper()
	return &rig{t: tb, hub: hub, e: New(Config{Hub: hub})}
}

func options(f Format) Options {
	return Options{Key: testKey, Format: f, Latency: 3 * time.Second, Flush: 100 * time.Millisecond}
}

func (r *rig) attach(f Format) *fakeSink {
	r.t.Helper()
	s := &fakeSink{conn: fakeConn{room: -1}}
	r.attachSink(s, f)
	return s
}

func (r *rig) attachSink(s *fakeSink, f Format) {
	r.t.Helper()
	r.attachWith(s, options(f))
}

func (r *rig) attachWith(s *fakeSink, opt Options) {
	r.t.Helper()
	if err := r.e.Attach(&s.v, &s.conn, s, opt, r.now); err != nil {
		r.t.Fatal(err)
	}
}

// show pushes d of the stream in real time.
func (r *rig) show(p *publisher, d time.Duration) {
	for range int(d / (40 * time.Millisecond)) {
		p.frame(p.dts%1000 == 0)
		r.run(40 * time.Millisecond)
	}
}

// open gives the viewer's socket room.
func (s *fakeSink) open(room int) {
	s.conn.room = room
	s.v.OnWritable()
}

// run lets d pass in ticks.
func (r *rig) run(d time.Duration) {
	for end := r.now + d; r.now < end; {
		r.now += Tick
		r.e.OnTick(r.now)
	}
}
