package relayend

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/bytelog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBody(t *testing.T) {
	b := make([]byte, 100)
	seal(b, 0x17, 1<<40)
	if n, err := unseal(b); n != 1<<40 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	for i := range b {
		b[i] ^= 4
		if _, err := unseal(b); !errors.Is(err, errDamaged) {
			t.Errorf("byte %d is damaged: %v", i, err)
		}
		b[i] ^= 4
	}
	if _, err := unseal(b[:minBody-1]); !errors.Is(err, errDamaged) {
		t.Errorf("a short body: %v", err)
	}
}

func TestShape(t *testing.T) {
	for _, tc := range []struct {
		shape Shape
		ok    bool
	}{
		{DefaultShape(), true},
		{Shape{200_000, 1, 1}, true},
		{Shape{199_999, 30, 60}, false},
		{Shape{50_000_001, 30, 60}, false},
		{Shape{1_000_000, 0, 60}, false},
		{Shape{1_000_000, 241, 60}, false},
		{Shape{1_000_000, 30, 0}, false},
		{Shape{1_000_000, 30, 10_001}, false},
	} {
		if err := tc.shape.Validate(); (err == nil) != tc.ok {
			t.Errorf("%+v: %v", tc.shape, err)
		}
	}
}

// The streams have the bit rate, the frames and the groups of their shape.
func TestSourceMakesItsShape(t *testing.T) {
	for _, shape := range []Shape{DefaultShape(), {4_000_000, 25, 50}, {300_000, 30, 1}} {
		hub := relay.NewHub()
		start := time.Unix(1_700_000_000, 0)
		s, err := newSource(hub, 1, shape, start)
		if err != nil {
			t.Fatal(err)
		}
		for ms := range 10_000 { // 10 s; the last packets at 9.999 s
			if err := s.feed(start.Add(time.Duration(ms) * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		packets, size := s.made()
		if want := int64(10 * (shape.FPS + audioRate)); packets != want {
			t.Errorf("%+v: %d packets, want %d", shape, packets, want)
		}
		if rate := float64(size) * 8 / 10; rate < 0.97*float64(shape.BitrateBPS) || rate > 1.03*float64(shape.BitrateBPS) {
			t.Errorf("%+v: %.0f bit/s", shape, rate)
		}
		live := s.streams[0].writer.Live()
		r := live.Log().Reader(live.Log().Tail())
		f := &follower{}
		for e, raw, ok := r.Next(); ok; e, raw, ok = r.Next() {
			if err := f.take(&e, e.Body(raw)); err != nil {
				t.Fatal(err)
			}
			if (e.Kind == media.KindKey) != (e.ID.Index == 0) {
				t.Fatalf("%+v: kind %d at %v", shape, e.Kind, e.ID)
			}
		}
		if sent := s.sent(); len(sent) != 1 || int64(sent[0]) != packets || f.next != sent[0] {
			t.Errorf("sent %v, made %d, read up to %d", sent, packets, f.next)
		}
	}
}

func TestFollowerFindsFaults(t *testing.T) {
	id := func(group uint64, index uint32) media.PacketID {
		return media.PacketID{Epoch: 1, Group: group, Index: index}
	}
	for _, tc := range []struct {
		name   string
		id     media.PacketID
		number uint64
		want   error
	}{
		{"next", id(4, 8), 21, nil},
		{"next group", id(5, 0), 21, nil},
		{"packet missing", id(4, 9), 22, errLost},
		{"packet missing at the end of a group", id(5, 0), 22, errLost},
		{"packet missing at the beginning of a group", id(5, 1), 22, errLost},
		{"group missing", id(6, 0), 100, errLost},
		{"repeated", id(4, 7), 20, errLost},
		{"another's body", id(4, 8), 20, errLost},
		{"another epoch", media.PacketID{Epoch: 2, Group: 4, Index: 8}, 21, errLost},
		{"damaged", id(4, 8), 21, errDamaged},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := make([]byte, minBody)
			f := &follower{}
			seal(body, 1, 20)
			if err := f.take(&bytelog.Entry{ID: id(4, 7)}, body); err != nil {
				t.Fatal(err)
			}
			seal(body, 1, tc.number)
			if tc.want == errDamaged { //nolint:errorlint // the table's own value
				body[minBody-1]++
			}
			if err := f.take(&bytelog.Entry{ID: tc.id}, body); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

// end is an end that runs in this process.
type testEnd struct {
	t       *testing.T
	in      *io.PipeWriter
	replies *json.Decoder
	done    chan error
}

func startEnd(t *testing.T, cfg *Config) (e *testEnd, first Reply) {
	t.Helper()
	in, requests := io.Pipe()
	replies, out := io.Pipe()
	e = &testEnd{t: t, in: requests, replies: json.NewDecoder(replies), done: make(chan error, 1)}
	go func() {
		e.done <- errors.Join(Serve(t.Context(), in, out), in.Close(), out.Close())
	}()
	return e, e.ask(cfg)
}

func (e *testEnd) ask(line any) (r Reply) {
	e.t.Helper()
	if err := errors.Join(json.NewEncoder(e.in).Encode(line), e.replies.Decode(&r)); err != nil {
		e.t.Fatal(err)
	}
	return r
}

// must is ask where an error is a fault.
func (e *testEnd) must(line any) Reply {
	e.t.Helper()
	r := e.ask(line)
	if r.Error != "" {
		e.t.Fatalf("%+v: %s", line, r.Error)
	}
	return r
}

func (e *testEnd) stop() {
	e.t.Helper()
	if err := errors.Join(e.in.Close(), <-e.done); err != nil {
		e.t.Error(err)
	}
}

func configs(t *testing.T, streams int) (source, sink *Config) {
	t.Helper()
	shape := DefaultShape()
	shape.GOP = 6
	source, sink, err := NewConfigs(streams, shape, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return source, sink
}

func TestEnds(t *testing.T) {
	sourceConfig, sinkConfig := configs(t, 3)
	source, hello := startEnd(t, sourceConfig)
	defer source.stop()
	sinkConfig.Source = hello.Addr
	sink, _ := startEnd(t, sinkConfig)
	defer sink.stop()

	if r := sink.ask(Request{Do: ActDelay}); r.Error == "" {
		t.Error("a delay without a watch")
	}
	sink.must(Request{Do: ActOpen, N: 1})
	before := sink.must(Request{Do: ActMemory}).Memory
	sink.must(Request{Do: ActOpen, N: 3})
	sink.must(Request{Do: ActWatch})
	sent := source.must(Request{Do: ActSent}).Sent
	got := sink.must(Request{Do: ActVerify, Sent: sent}).Got
	for i, n := range sent { // as many again, so that some come while watching
		sent[i] = n + 40
	}
	more := sink.must(Request{Do: ActVerify, Sent: sent}).Got
	if more.Packets < got.Packets+3*20 || more.Bytes <= got.Bytes {
		t.Errorf("got %+v, then %+v", got, more)
	}
	if d := sink.must(Request{Do: ActDelay}).Delay; d.Packets == 0 || d.P50 <= 0 || d.P99 < d.P50 || d.Max > time.Minute {
		t.Errorf("delay %+v", d)
	}
	after := sink.must(Request{Do: ActMemory}).Memory
	if after.Goroutines <= before.Goroutines || after.Logs <= before.Logs || after.RSS == 0 || after.Heap == 0 {
		t.Errorf("memory %+v, then %+v", before, after)
	}
	if u := source.must(Request{Do: ActUsage}).Usage; u.CPU <= 0 || u.Packets == 0 || u.Bytes == 0 || u.Check != 0 {
		t.Errorf("the source's usage %+v", u)
	}
	if u := sink.must(Request{Do: ActUsage}).Usage; u.CPU <= 0 || u.Check <= 0 {
		t.Errorf("the sink's usage %+v", u)
	}
}

func TestEndsRefuse(t *testing.T) {
	sourceConfig, sinkConfig := configs(t, 2)
	bad := *sourceConfig
	bad.Role, bad.Streams, bad.Shape.FPS = "relay", MaxStreams+1, 0
	e, r := startEnd(t, &bad)
	for _, part := range []string{`"relay"`, "streams", "frames"} {
		if !strings.Contains(r.Error, part) {
			t.Errorf("%q does not name %s", r.Error, part)
		}
	}
	if err := <-e.done; err == nil { // its replies are closed with it
		t.Error("a bad config is no error")
	}
	for _, tc := range []struct {
		cfg *Config
		do  []Action
	}{
		{sourceConfig, []Action{ActOpen, ActVerify, ActWatch, ActDelay, "fly"}},
		{sinkConfig, []Action{ActSent, ActProfile, "fly"}},
	} {
		e, _ := startEnd(t, tc.cfg)
		for _, do := range tc.do {
			if r := e.ask(Request{Do: do}); r.Error == "" {
				t.Errorf("a %s did %q", tc.cfg.Role, do)
			}
		}
		e.stop()
	}
}

// Where packets may be missing, groups that were left out are told and what
// is otherwise out of order is a fault as ever.
func TestFollowerTellsWhatIsMissing(t *testing.T) {
	f := &follower{mayMiss: true}
	take := func(group uint64, index uint32, number uint64) error {
		body := make([]byte, minBody)
		seal(body, 1, number)
		return f.take(&bytelog.Entry{ID: media.PacketID{Epoch: 1, Group: group, Index: index}}, body)
	}
	for _, p := range []struct {
		group  uint64
		index  uint32
		number uint64
	}{{4, 7, 20}, {4, 8, 21}, {7, 0, 90}, {7, 1, 91}, {8, 0, 95}} {
		if err := take(p.group, p.index, p.number); err != nil {
			t.Fatal(err)
		}
	}
	want := []Gap{{From: 22, To: 90}, {From: 92, To: 95}}
	if f.missing != 71 || !slices.Equal(f.gaps, want) || f.packets != 5 {
		t.Errorf("%d packets, %d missing: %v, want %v", f.packets, f.missing, f.gaps, want)
	}
	for _, p := range []struct {
		group  uint64
		index  uint32
		number uint64
	}{{8, 2, 97}, {9, 1, 100}, {8, 1, 95}, {7, 2, 92}} {
		if err := take(p.group, p.index, p.number); !errors.Is(err, errLost) {
			t.Errorf("packet %d of group %d, number %d: %v", p.index, p.group, p.number, err)
		}
	}
}
