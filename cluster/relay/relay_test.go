package relay

import (
	"bytes"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/flv"
)

func key(stream string) media.StreamKey {
	return media.StreamKey{Domain: "default", App: "live", Stream: stream}
}

// feeder writes a stream of 25 fps with a keyframe each gop frames.
type feeder struct {
	t     testing.TB
	w     *Writer
	gop   int
	size  int
	frame int
	id    media.PacketID
}

func (f *feeder) put(p media.Packet) {
	f.t.Helper()
	p.ID = f.id
	f.id.Index++
	if err := f.w.Append(&p); err != nil {
		f.t.Fatal(err)
	}
}

func (f *feeder) config(typ media.Type, body string) {
	f.put(media.Packet{Type: typ, Kind: media.KindConfig, Body: []byte(body), DTS: f.dts()})
}

func (f *feeder) dts() media.Timestamp { return media.Timestamp(f.frame * 40) }

func (f *feeder) frames(n int) {
	for range n {
		kind := media.KindDelta
		if f.frame%f.gop == 0 {
			kind = media.KindKey
			if f.frame > 0 {
				f.id.Group, f.id.Index = f.id.Group+1, 0
			}
		}
		body := bytes.Repeat([]byte{byte(f.frame)}, f.size)
		f.put(media.Packet{Type: media.TypeVideo, Kind: kind, DTS: f.dts(), Body: body})
		f.frame++
	}
}

func publish(t *testing.T, h *Hub, opt LiveOptions) *feeder {
	t.Helper()
	w, err := h.Publish(key("a"), 7, opt)
	if err != nil {
		t.Fatal(err)
	}
	return &feeder{t: t, w: w, gop: 50, size: 1000, id: media.PacketID{Epoch: 7}}
}

// Requirement: S9
func TestLogHoldsFLVTags(t *testing.T) {
	f := publish(t, NewHub(), LiveOptions{})
	f.config(media.TypeVideo, "sps")
	f.frames(120)
	live := f.w.Live()
	var all []byte
	for off := int64(0); off < live.Log().Head(); {
		b, ok := live.Log().Bytes(off)
		if !ok {
			t.Fatalf("no bytes at %d", off)
		}
		all = append(all, b...)
		off += int64(len(b))
	}
	r := live.Log().Reader(0)
	for n := 0; len(all) > 0; n++ {
		tag, size, err := flv.ParseTag(all)
		if err != nil {
			t.Fatalf("tag %d: %v", n, err)
		}
		e, raw, ok := r.Next()
		if !ok || !bytes.Equal(e.Body(raw), tag.Body) || uint32(e.DTS) != tag.Timestamp || e.Type != tag.Type {
			t.Fatalf("tag %d differs from its entry %+v", n, e)
		}
		all = all[size:]
	}
}

func TestJoin(t *testing.T) {
	f := publish(t, NewHub(), LiveOptions{Keep: 6 * time.Second})
	live := f.w.Live()
	if _, ok := live.Join(time.Second); ok {
		t.Error("a join point before the first packet")
	}
	f.put(media.Packet{Type: media.TypeData, Kind: media.KindData, Body: []byte("\x02\x00\x0aonMetaData...")})
	f.config(media.TypeVideo, "sps 1")
	f.config(media.TypeAudio, "asc")
	if _, ok := live.Join(time.Second); ok {
		t.Error("a join point before the first frame")
	}
	f.frames(500) // 20 s, a keyframe each 2 s
	for _, c := range []struct {
		latency time.Duration
		want    media.Timestamp
	}{
		{3 * time.Second, 18000},
		{4 * time.Second, 16000},
		{100 * time.Millisecond, 18000}, // none inside: the newest
	} {
		j, ok := live.Join(c.latency)
		if !ok || j.DTS != c.want {
			t.Errorf("Join(%v) = %d ms, %v, want %d", c.latency, j.DTS, ok, c.want)
		}
		e, ok := live.Log().At(j.Offset)
		if !ok || e.Kind != media.KindKey || e.Off != j.Offset || e.ID.Group != j.Group {
			t.Errorf("Join(%v) points at %+v", c.latency, e)
		}
		if j.Configs.Metadata == nil || len(j.Configs.Headers) != 2 || j.Configs.Headers[0].Type != media.TypeAudio {
			t.Errorf("Join(%v) has configs %+v", c.latency, j.Configs)
		}
	}
	t.Run("a config belongs to the group it precedes", func(t *testing.T) {
		old, _ := live.NewestGroup()
		f.config(media.TypeVideo, "sps 2")
		f.frames(1)
		j, _ := live.NewestGroup()
		if got := string(j.Configs.Header(media.TypeVideo, 0).Body); got != "sps 2" {
			t.Errorf("the new group has %q", got)
		}
		if got := string(old.Configs.Header(media.TypeVideo, 0).Body); got != "sps 1" {
			t.Errorf("the old group has %q now", got)
		}
	})
}

func TestRetention(t *testing.T) {
	for _, c := range []struct {
		name          string
		gop, size     int
		opt           LiveOptions
		minMS, maxMS  media.Timestamp
		maxBytes      int64
		wantJoinPoint bool
	}{
		{"by time", 50, 1000, LiveOptions{Keep: 6 * time.Second}, 6000, 9000, 1 << 20, true},
		{"gop-20s", 500, 1000, LiveOptions{Keep: 6 * time.Second}, 6000, 29000, 2 << 20, true},
		{"by bytes", 50, 20000, LiveOptions{Keep: time.Minute, MaxBytes: 4 << 20}, 4000, 9000, 5 << 20, true},
		{"a group over the bytes", 1 << 30, 20000, LiveOptions{MaxBytes: 1 << 20}, 1000, 3000, 2 << 20, false},
		{"10k-fps: nothing but keyframes", 1, 1000, LiveOptions{Keep: 6 * time.Second}, 6000, 7000, 1 << 20, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := publish(t, NewHub(), c.opt)
			f.gop, f.size = c.gop, c.size
			f.frames(1700)
			live := f.w.Live()
			e, ok := live.Log().At(live.Log().Tail())
			if !ok {
				t.Fatal("no entry at the tail")
			}
			if span := live.LastDTS() - e.DTS; span < c.minMS || span > c.maxMS {
				t.Errorf("%d ms are kept, want %d to %d", span, c.minMS, c.maxMS)
			}
			if size := live.Log().Size(); size > c.maxBytes {
				t.Errorf("%d bytes are kept, want at most %d", size, c.maxBytes)
			}
			if _, ok := live.Join(3 * time.Second); ok != c.wantJoinPoint {
				t.Errorf("Join: %v", ok)
			}
			if joins := *live.joins.Load(); len(joins) > maxJoins {
				t.Errorf("%d join points", len(joins))
			}
		})
	}
}

// The index of tiny packets is larger than they are; the log's memory is bounded
// all the same, and joiners get a keyframe (CASES: 10k-fps).
func TestRetentionOfTinyPackets(t *testing.T) {
	t.Run("10k-fps", func(t *testing.T) {
		const perMS, gop, limit = 10, 5000, 1 << 20 // a keyframe each 0.5 s
		f := publish(t, NewHub(), LiveOptions{Keep: time.Minute, MaxBytes: limit})
		live := f.w.Live()
		for i := range 300_000 {
			kind := media.KindDelta
			if i%gop == 0 {
				kind, f.id.Group, f.id.Index = media.KindKey, uint64(i/gop), 0
			}
			f.put(media.Packet{
				Type: media.TypeVideo, Kind: kind, DTS: media.Timestamp(i / perMS), Body: []byte{byte(i)},
			})
			if i%997 != 0 {
				continue
			}
			if size := live.Log().Size(); size > media.LogMemory*limit {
				t.Fatalf("%d bytes are held after %d frames, want at most %d", size, i+1, media.LogMemory*limit)
			}
			j, ok := live.Join(3 * time.Second)
			if !ok {
				t.Fatalf("no place to join at after %d frames", i+1)
			}
			if e, ok := live.Log().At(j.Offset); !ok || e.Kind != media.KindKey || e.Off != j.Offset {
				t.Fatalf("after %d frames the place to join at is %+v, %v", i+1, e, ok)
			}
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	f := publish(t, NewHub(), LiveOptions{})
	f.frames(3)
	head := f.w.Live().Log().Head()
	for _, c := range []struct {
		name string
		p    media.Packet
		want error
	}{
		{"empty", media.Packet{ID: f.id}, nil},
		{"too large", media.Packet{ID: f.id, Body: make([]byte, media.MaxMessageVideo+1)}, nil},
		{"a repeat", media.Packet{ID: media.PacketID{Epoch: 7, Index: 2}, Body: []byte("x")}, ErrOrder},
		{"an older group", media.Packet{ID: media.PacketID{Epoch: 6, Group: 9}, Body: []byte("x")}, ErrOrder},
	} {
		err := f.w.Append(&c.p)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if f.w.Live().Log().Head() != head {
		t.Error("a refused packet was written")
	}
	f.id = media.PacketID{Epoch: 8} // a new owner
	f.frames(1)
}

func TestFeedLife(t *testing.T) {
	h := NewHub()
	feed, err := h.Open(key("a"))
	if err != nil {
		t.Fatal(err)
	}
	if feed.Live() != nil {
		t.Error("live before a writer")
	}
	f := publish(t, h, LiveOptions{})
	f.frames(2)
	live := feed.Live()
	if live == nil || live != f.w.Live() || len(h.Lives()) != 1 {
		t.Fatalf("live is %v", live)
	}
	if _, err := h.Publish(key("a"), 8, LiveOptions{}); !errors.Is(err, ErrPublished) {
		t.Errorf("a second writer: %v", err)
	}
	f.w.SetState(StateGrace)
	if live.State() != StateGrace {
		t.Error("no grace")
	}
	f.w.End()
	if live.State() != StateEnded || feed.Live() != nil {
		t.Error("the end does not show")
	}
	next := publish(t, h, LiveOptions{})
	if feed.Live() != next.w.Live() {
		t.Error("the feed does not show the next life")
	}
	next.w.End()
	feed.Close()
	if h.Len() != 0 {
		t.Errorf("%d feeds are left", h.Len())
	}
}

func TestHubIsBounded(t *testing.T) {
	h := NewHub()
	h.limit = 4
	open := func(i int) error {
		_, err := h.Open(key(strconv.Itoa(i)))
		return err
	}
	write := func(i int) error {
		_, err := h.Publish(key(strconv.Itoa(i)), 1, LiveOptions{})
		return err
	}
	if err := errors.Join(open(0), open(1), open(1)); err != nil {
		t.Fatal(err)
	}
	if err := open(2); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("one name that nobody publishes over the limit: %v", err)
	}
	if err := errors.Join(write(2), open(2), write(0), open(3), write(3), write(4)); err != nil {
		t.Fatalf("within the limits: %v", err)
	}
	if err := write(5); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("one writer over the limit: %v", err)
	}
}

// TestDistinctNames opens many names, as an attacker would.
func TestDistinctNames(t *testing.T) {
	h := NewHub()
	for i := range 1_000_000 {
		f, err := h.Open(key(strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if h.Len() != 0 {
		t.Errorf("%d feeds are left", h.Len())
	}
}

func TestDerive(t *testing.T) {
	live := publish(t, NewHub(), LiveOptions{}).w.Live()
	made := 0
	create := func() any { made++; return made }
	for range 3 {
		if v := live.Derive("rtmp", create); v != 1 {
			t.Errorf("derived %v", v)
		}
	}
	for range 3 {
		live.Drop("rtmp")
	}
	live.Drop("rtmp")
	if v := live.Derive("rtmp", create); v != 2 {
		t.Errorf("after the last drop: %v", v)
	}
}

func TestReadersBesideTheWriter(t *testing.T) {
	h := NewHub()
	f := publish(t, h, LiveOptions{Keep: time.Second})
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			feed, err := h.Open(key("a"))
			if err != nil {
				t.Error(err)
				return
			}
			defer feed.Close()
			for {
				select {
				case <-done:
					return
				default:
				}
				if j, ok := feed.Live().Join(500 * time.Millisecond); ok {
					e, ok := feed.Live().Log().At(j.Offset)
					if ok && (e.Kind != media.KindKey || e.DTS != j.DTS) {
						t.Errorf("join point %+v shows %+v", j, e)
					}
				}
			}
		})
	}
	f.gop = 5
	f.frames(5000)
	close(done)
	wg.Wait()
}
