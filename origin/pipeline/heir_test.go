package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/hls"
	"tmms/media/timeline"
)

// inheritedBy gives the pipeline of the next epoch to what a rig has published and
// sent, of which its standby has the first packets and the indexes that came with
// them. The index is what it holds.
func (r *rig) inheritedBy(packets int, publish func(*hls.Index)) (p *Pipeline, x *hls.Index, err error) {
	r.t.Helper()
	if n := r.tape[packets-1].indexes; n > 0 {
		x = r.indexes[n-1]
	} else {
		return nil, nil, fmt.Errorf("%w: nothing was published", ErrPoint)
	}
	cfg := r.cfg
	cfg.Epoch++
	h, err := Inherit(cfg, x, publish)
	if err != nil {
		return nil, x, err
	}
	for i := range r.tape[:packets] {
		h.Offer(&r.tape[i].Packet, r.tape[i].wall)
	}
	p, err = h.Take()
	return p, x, err
}

// successor is a rig that goes on where another one stopped.
func (r *rig) successor(packets int) (next *rig, x *hls.Index) {
	r.t.Helper()
	next = &rig{t: r.t, names: r.names, behind: r.behind, now: r.tape[packets-1].DTS, cfg: r.cfg}
	next.cfg.Epoch++
	for i := range r.tape[:packets] {
		next.now = max(next.now, r.tape[i].DTS)
	}
	p, x, err := r.inheritedBy(packets, func(x *hls.Index) {
		next.indexes = append(next.indexes, x)
		next.names.check(r.t, x)
		for _, s := range x.Segments {
			if len(next.all) == 0 || s.MSN > next.all[len(next.all)-1].MSN {
				next.all = append(next.all, s)
			}
		}
	})
	if err != nil {
		r.t.Fatal(err)
	}
	next.p = p
	return next, x
}

// wantGoesOn checks the indexes of a new owner against x, the last one that readers
// of the old owner can have seen.
func (r *rig) wantGoesOn(x *hls.Index) {
	r.t.Helper()
	bad := func(what string) {
		r.t.Helper()
		r.t.Fatalf("%s\nbefore:\n%s\nafter:\n%s", what, x.AppendMedia(nil, ""), r.last().AppendMedia(nil, ""))
	}
	before := x.Discontinuities()
	for i, y := range r.indexes {
		if y.Version != uint64(i+1) || y.Epoch != r.cfg.Epoch || y.Target != x.Target || y.PartTarget != x.PartTarget {
			bad("version, epoch or targets")
		}
		marks := 0
		for j, s := range y.Segments {
			if j > 0 && (s.MSN != y.Segments[j-1].MSN+1 || s.ProgramTime.Before(y.Segments[j-1].ProgramTime.Add(y.Segments[j-1].Duration))) {
				bad(fmt.Sprintf("numbers or times of %d at %v behind %v + %v", s.MSN, s.ProgramTime, y.Segments[j-1].ProgramTime, y.Segments[j-1].Duration))
			}
			if s.MP4 != nil && !slices.ContainsFunc(y.Inits, func(i *hls.Init) bool { return i.Epoch == s.Epoch && i.Version == s.Init }) {
				bad("an initialization section is missing")
			}
			if math.Round(s.Duration.Seconds()) > y.Target.Seconds() || s.Duration <= 0 {
				bad("target-round")
			}
			if s.Epoch == r.cfg.Epoch && s.Discontinuity {
				marks++
			}
		}
		if first := slices.IndexFunc(y.Segments, func(s *hls.Segment) bool { return s.Epoch == r.cfg.Epoch }); first > 0 &&
			(!y.Segments[first].Discontinuity || marks < 1) {
			bad("no discontinuity at the seam")
		}
		if i > 0 {
			checkStep(bad, r.indexes[i-1], y)
		}
	}
	first := r.indexes[0]
	for _, s := range first.Segments {
		if s.Epoch == r.cfg.Epoch || x.Lookup(s.Epoch, s.MSN) == nil && s.MSN < x.Segments[len(x.Segments)-1].MSN {
			bad("the first index has other segments")
		}
	}
	for _, s := range x.Playlist() {
		if y := first.Lookup(s.Epoch, s.MSN); y != nil && y != s {
			bad("a segment is another")
		}
	}
	if o := x.Open; o != nil {
		whole := first.Lookup(o.Epoch, o.MSN)
		if whole == nil || !startsWith(whole.MP4.Chunks, o.MP4.Chunks) || !slices.Equal(whole.Parts[:len(o.Parts)], o.Parts) {
			bad("parts that were published have changed")
		}
	}
	if first.Open != nil || first.Ended || first.Discontinuities() < before {
		bad("the first index")
	}
}

// play sends ms of media in another epoch, with a keyframe first.
func (r *rig) play(ms media.Timestamp) {
	from := r.now + 40
	r.p.StartRun(testWall.Add(r.behind + from.Duration()))
	r.headers()
	r.av(from, from+ms, 40, 1000, true)
}

// Requirement: S6 (an owner may die at any packet: what its standby publishes in
// its place contradicts nothing that readers have seen).
func TestInheritRandomStreams(t *testing.T) {
	eachMode(t, func(t *testing.T, mode func(*Config)) {
		t.Helper()
		for seed := range uint64(40) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				p := newPublisher(t, seed, mode)
				for range 1000 {
					p.turn(seed%3 == 0)
				}
				rng := rand.New(rand.NewPCG(seed, 2))
				for range 8 {
					p.inheritAt(1 + rng.IntN(len(p.tape)))
				}
			})
		}
	})
}

// inheritAt lets the owner die behind so many packets.
func (p *publisher) inheritAt(packets int) {
	p.t.Helper()
	if p.tape[packets-1].indexes == 0 {
		return
	}
	seen := p.names
	defer func() { p.names = seen }()
	p.names = maps.Clone(seen) // of what nobody has seen another may make something else
	x := p.indexes[p.tape[packets-1].indexes-1]
	for name := range p.names {
		if x.Find(name) == nil && name.Kind != hls.NameInit && name.MSN > x.Segments[0].MSN {
			delete(p.names, name)
		}
	}
	next, x := p.successor(packets)
	next.wantGoesOn(x)
	// What it has made whole is what the old owner has made, if that went on.
	for _, s := range next.indexes[0].Segments {
		i := slices.IndexFunc(p.all, func(old *hls.Segment) bool { return old.MSN == s.MSN })
		if i < 0 || s.MSN+1 == next.indexes[0].NextMSN() {
			continue
		}
		if s.TS != nil && !bytes.Equal(slices.Concat(s.TS.Chunks...), slices.Concat(p.all[i].TS.Chunks...)) ||
			s.MP4 != nil && !bytes.Equal(slices.Concat(s.MP4.Chunks...), slices.Concat(p.all[i].MP4.Chunks...)) {
			p.t.Fatalf("segment %d of %d packets is another", s.MSN, packets)
		}
	}
	next.play(9000)
	next.wantGoesOn(x)
	if y := next.last(); y.Segments[len(y.Segments)-1].Epoch != next.cfg.Epoch {
		p.t.Fatalf("nothing of the new epoch\n%s", y.AppendMedia(nil, ""))
	}
	next.p.End()
}

// The standby that has taken a stream over dies too, before its publisher is back,
// and behind its first parts.
func TestInheritTwice(t *testing.T) {
	eachMode(t, func(t *testing.T, mode func(*Config)) {
		t.Helper()
		for _, ms := range []media.Timestamp{0, 1500, 5000} {
			r := newRig(t, mode)
			r.headers()
			r.av(0, 8300, 40, 1000, true)
			next, x := r.successor(len(r.tape))
			if ms == 0 {
				next.tape = append(next.tape, taped{Packet: media.Packet{
					Type: media.TypeAudio, DTS: next.now, ID: media.PacketID{Epoch: testEpoch + 1},
				}, indexes: 1})
			} else {
				next.play(ms)
			}
			last, y := next.successor(len(next.tape))
			last.wantGoesOn(y)
			last.play(9000)
			last.wantGoesOn(y)
			epochs := map[uint64]int{}
			for _, s := range last.all {
				epochs[s.Epoch]++
			}
			want := 2
			if ms > 1500 || ms > 0 && x.PartTarget > 0 { // what nobody has seen is lost
				want = 3
			}
			if len(epochs) != want || last.all[0].MSN > x.Segments[0].MSN {
				t.Errorf("after %d ms: segments of the epochs %v from %d on, want %d from %d on", ms, epochs, last.all[0].MSN, want, x.Segments[0].MSN)
			}
		}
	})
}

// What can't be gone on with is refused, so that a new playlist begins.
func TestInheritRefuses(t *testing.T) {
	r := newRig(t, lowLatency)
	r.headers()
	r.av(0, 8300, 40, 1000, true)
	x := r.last()
	cfg := r.cfg
	cfg.Epoch++
	for name, change := range map[string]func(x *hls.Index){
		"no point":        func(x *hls.Index) { x.Resume = nil },
		"another version": func(x *hls.Index) { x.Resume = append([]byte{9}, x.Resume[1:]...) },
		"a point cut off": func(x *hls.Index) { x.Resume = x.Resume[:len(x.Resume)-1] },
		"ended":           func(x *hls.Index) { x.Ended = true },
		"without bytes": func(x *hls.Index) {
			s := *x.Segments[0]
			s.MP4 = &hls.Media{Size: 1}
			x.Segments = append([]*hls.Segment{&s}, x.Segments[1:]...)
		},
		"a later epoch": func(x *hls.Index) { x.Epoch += 2 },
	} {
		y := *x
		change(&y)
		if _, err := Inherit(cfg, &y, func(*hls.Index) {}); !errors.Is(err, ErrPoint) {
			t.Errorf("%s: %v, want %v", name, err, ErrPoint)
		}
	}
	for name, tape := range map[string][]taped{"no packets": nil, "not the first ones": r.tape[len(r.tape)-3:]} {
		h, err := Inherit(cfg, x, func(*hls.Index) { t.Errorf("%s: an index is published", name) })
		if err != nil {
			t.Fatal(err)
		}
		for i := range tape {
			h.Offer(&tape[i].Packet, tape[i].wall)
		}
		if _, err = h.Take(); !errors.Is(err, ErrPoint) {
			t.Errorf("%s: %v, want %v", name, err, ErrPoint)
		}
	}
}

// Parts that another release would have made otherwise stay as they are.
func TestInheritKeepsForeignParts(t *testing.T) {
	r := newRig(t, lowLatency)
	r.headers()
	r.av(0, 8700, 40, 1000, true)
	x := *r.last()
	open := *x.Open
	open.MP4 = &hls.Media{Size: open.MP4.Size, Chunks: slices.Clone(open.MP4.Chunks)}
	open.MP4.Chunks[0] = bytes.Clone(open.MP4.Chunks[0])
	open.MP4.Chunks[0][len(open.MP4.Chunks[0])-1] ^= 1
	x.Open = &open
	cfg := r.cfg
	cfg.Epoch++
	var first *hls.Index
	h, err := Inherit(cfg, &x, func(x *hls.Index) { first = x })
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.tape {
		h.Offer(&r.tape[i].Packet, r.tape[i].wall)
	}
	if _, err = h.Take(); err != nil {
		t.Fatal(err)
	}
	s := first.Lookup(open.Epoch, open.MSN)
	if s == nil || len(s.Parts) != len(open.Parts) || !startsWith(s.MP4.Chunks, open.MP4.Chunks) || s.TS == nil {
		t.Errorf("the closed segment is %+v, want the parts %+v", s, open.Parts)
	}
}

// Requirement: S6, S12 (real media over an owner's death: every tool plays it).
func TestInheritRealStreams(t *testing.T) {
	for _, at := range []media.Timestamp{5300, 6700} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			tags := encode(t, picture25+sine+x264+"-c:a aac -ac 2 -shortest")
			r := newRig(t, wide, lowLatency)
			tl := timeline.New(timeline.Config{})
			r.push(tl, tags)
			packets := slices.IndexFunc(r.tape, func(p taped) bool { return p.DTS > at })
			x := r.indexes[r.tape[packets-1].indexes-1]
			for name := range r.names { // what the old owner has not made
				if x.Find(name) == nil {
					delete(r.names, name)
				}
			}
			next, x := r.successor(packets)
			next.names.check(t, x)
			next.behind += 3 * time.Second
			next.push(timeline.New(timeline.Config{Resume: at, HasResume: true}), tags)
			next.p.End()
			next.wantGoesOn(x)
			playlist, whole, _ := next.save()
			continuity(t, whole)
			parts, _ := next.saveMP4()
			for _, list := range []string{playlist, parts} {
				tool(t, "ffmpeg", "-v", "error", "-xerror", "-i", list,
					"-map", "0:v", "-f", "rawvideo", "-y", "/dev/null", "-map", "0:a", "-f", "s16le", "-y", "/dev/null")
			}
			next.judgePlaylists(20)
			last := map[string]int64{}
			for _, k := range probe1(t, whole).Packets {
				if before, ok := last[k.Type]; ok && k.DTS <= before {
					t.Fatalf("%s: DTS %d after %d", k.Type, k.DTS, before)
				}
				last[k.Type] = k.DTS
			}
			marks := 0
			for _, s := range next.all {
				if s.Discontinuity {
					marks++
				}
			}
			if marks != 1 {
				t.Errorf("%d discontinuities, want 1", marks)
			}
		})
	}
}

func FuzzParsePoint(f *testing.F) {
	f.Add(point{}.encode())
	f.Add(point{known: 1, start: 1 << 36, video: trackPoint{active: 1, step: -1}}.encode())
	f.Add(point{cut: 1 << 60}.encode())
	f.Add(point{known: 43}.encode())
	f.Add([]byte{pointVersion})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		pt, err := parsePoint(b)
		if err != nil {
			if !errors.Is(err, ErrPoint) {
				t.Errorf("error %v does not wrap ErrPoint", err)
			}
			return
		}
		again, err := parsePoint(pt.encode())
		if err != nil || again != pt {
			t.Errorf("%+v, again %+v, %v", pt, again, err)
		}
	})
}

// five is what a pipeline makes of five seconds, and of what.
func five(cfg Config) (x *hls.Index, tape []media.Packet) {
	p, err := New(cfg, func(y *hls.Index) { x = y })
	if err != nil {
		panic(err)
	}
	write := func(typ media.Type, dts media.Timestamp, body []byte) {
		tape = append(tape, media.Packet{
			ID: media.PacketID{Epoch: cfg.Epoch, Index: uint32(len(tape))}, Type: typ, DTS: dts, Body: body,
		})
		if err := p.Write(&tape[len(tape)-1], testWall.Add(dts.Duration())); err != nil {
			panic(err)
		}
	}
	write(media.TypeVideo, 0, videoHeader(avc240))
	write(media.TypeAudio, 0, audioHeader(aac44))
	for dts := media.Timestamp(0); dts < 5000; dts += 100 {
		write(media.TypeVideo, dts, picture(dts%1000 == 0, 0, 50))
		write(media.TypeAudio, dts+5, append([]byte{0xAF, 1}, make([]byte, 20)...))
	}
	return x, tape
}

// An index that another node has sent may have any point: it is refused, or gone on
// with, in whatever way.
func FuzzInherit(f *testing.F) {
	cfg := DefaultConfig(testEpoch, firstMSN)
	whole, _ := five(cfg)
	f.Add(whole.Resume, false)
	cfg.LowLatency = true
	x, tape := five(cfg)
	f.Add(x.Resume, true)
	cfg.Epoch++
	f.Fuzz(func(_ *testing.T, b []byte, open bool) {
		y := *x
		y.Resume = b
		if !open {
			y.Open = nil
		}
		h, err := Inherit(cfg, &y, func(*hls.Index) {})
		if err != nil {
			return
		}
		for i := range tape {
			h.Offer(&tape[i], testWall.Add(tape[i].DTS.Duration()))
		}
		p, err := h.Take()
		if err != nil {
			return
		}
		for i := range tape {
			_ = p.Write(&tape[i], testWall.Add(tape[i].DTS.Duration()))
		}
		p.End()
	})
}
