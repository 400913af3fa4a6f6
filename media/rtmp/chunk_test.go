package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"tmms/media"
)

// chunk is one chunk as a sender writes it, spelled out.
type chunk struct {
	format  uint8
	csid    uint32
	basic   int    // bytes of the basic header; 0: the fewest
	ts      uint32 // absolute or delta; on type 3 only with ext
	ext     bool   // force the extended field; types 0 to 2 have it from 0xFFFFFF on
	length  int
	typ     uint8
	sid     uint32
	payload []byte
}

func (c chunk) append(b []byte) []byte {
	basic := c.basic
	switch {
	case basic != 0:
	case c.csid < 64:
		basic = 1
	case c.csid < 320:
		basic = 2
	default:
		basic = 3
	}
	switch basic {
	case 1:
		b = append(b, c.format<<6|byte(c.csid))
	case 2:
		b = append(b, c.format<<6, byte(c.csid-64))
	default:
		b = append(b, c.format<<6|1, byte(c.csid-64), byte((c.csid-64)>>8))
	}
	ext := c.ext
	if c.format < 3 {
		ext = ext || c.ts >= extended
		field := c.ts
		if ext {
			field = extended
		}
		b = append(b, byte(field>>16), byte(field>>8), byte(field))
	}
	if c.format < 2 {
		b = append(b, byte(c.length>>16), byte(c.length>>8), byte(c.length), c.typ)
	}
	if c.format == 0 {
		b = binary.LittleEndian.AppendUint32(b, c.sid)
	}
	if ext {
		b = binary.BigEndian.AppendUint32(b, c.ts)
	}
	return append(b, c.payload...)
}

func chunks(list ...chunk) []byte {
	var b []byte
	for _, c := range list {
		b = c.append(b)
	}
	return b
}

type gotMessage struct {
	CSID, Timestamp, StreamID uint32
	Typ                       uint8
	Body                      string
}

// readChunks reads b in pieces of the sizes that size gives. Set Chunk Size and
// Abort act as in a connection and are not in the result.
func readChunks(b []byte, size func() int) ([]gotMessage, *chunkReader, error) {
	r := newChunkReader(NewBudget(media.MaxPartialBytesProcess), media.MaxPartialBytes)
	r.keep = media.KeepMessageBuffer
	var all []gotMessage
	for len(b) > 0 {
		piece := b[:min(len(b), size())]
		b = b[len(piece):]
		for {
			n, s, err := r.next(piece)
			piece = piece[n:]
			if err != nil {
				return all, &r, err
			}
			if s == nil {
				break
			}
			if err := controlOrKeep(&r, s, &all); err != nil {
				return all, &r, err
			}
		}
	}
	return all, &r, nil
}

func controlOrKeep(r *chunkReader, s *chunkStream, all *[]gotMessage) error {
	if s.typ != typeSetChunkSize && s.typ != typeAbort {
		*all = append(*all, gotMessage{s.id, s.timestamp, s.streamID, s.typ, string(s.buf)})
		return nil
	}
	v, err := controlValue(s)
	if err != nil {
		return err
	}
	if s.typ == typeSetChunkSize {
		return r.setChunkSize(v)
	}
	r.abort(v)
	return nil
}

// body gives n bytes that differ from place to place.
func body(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + 1)
	}
	return b
}

func abortMessage(csid uint32) chunk {
	return chunk{csid: 2, length: 4, typ: typeAbort, payload: binary.BigEndian.AppendUint32(nil, csid)}
}

func chunkSizeMessage(n uint32) chunk {
	return chunk{csid: 2, length: 4, typ: typeSetChunkSize, payload: binary.BigEndian.AppendUint32(nil, n)}
}

type chunkCase struct {
	name string
	in   []byte
	want []gotMessage
	err  error
}

func chunkCases() []chunkCase {
	return slices.Concat(chunkHeaderCases(), chunkExtendedCases(), chunkOrderCases())
}

func chunkHeaderCases() []chunkCase {
	b200 := body(200)
	one := func(name string, csid uint32, basic int) chunkCase {
		return chunkCase{
			name: name,
			in: chunks(
				chunk{csid: csid, basic: basic, ts: 10, length: 200, typ: 9, sid: 1, payload: b200[:128]},
				chunk{format: 3, csid: csid, basic: basic, payload: b200[128:]},
			),
			want: []gotMessage{{csid, 10, 1, 9, string(b200)}},
		}
	}
	return []chunkCase{
		one("csid-1-byte/2", 2, 1), one("csid-1-byte/63", 63, 1),
		one("csid-2-byte/64", 64, 2), one("csid-2-byte/319", 319, 2),
		one("csid-3-byte/64", 64, 3), one("csid-3-byte/320", 320, 3), one("csid-3-byte/65599", 65599, 3),
		{
			name: "types 0 to 3",
			in: chunks(
				chunk{csid: 4, ts: 1000, length: 2, typ: 8, sid: 7, payload: []byte("ab")},
				chunk{format: 1, csid: 4, ts: 20, length: 1, typ: 9, payload: []byte("c")},
				chunk{format: 2, csid: 4, ts: 30, payload: []byte("d")},
				chunk{format: 3, csid: 4, payload: []byte("e")},
			),
			want: []gotMessage{{4, 1000, 7, 8, "ab"}, {4, 1020, 7, 9, "c"}, {4, 1050, 7, 9, "d"}, {4, 1080, 7, 9, "e"}},
		},
		{ // RTMP 1.0 section 5.3.1.2.4: the delta is then the timestamp of the type 0 chunk.
			name: "type 3 behind type 0",
			in: chunks(
				chunk{csid: 4, ts: 40, length: 1, typ: 8, sid: 1, payload: []byte("a")},
				chunk{format: 3, csid: 4, payload: []byte("b")},
			),
			want: []gotMessage{{4, 40, 1, 8, "a"}, {4, 80, 1, 8, "b"}},
		},
		{
			name: "empty messages",
			in: chunks(
				chunk{csid: 4, ts: 1, typ: 8, sid: 1}, chunk{format: 3, csid: 4},
				chunk{format: 1, csid: 4, ts: 1, length: 1, typ: 8, payload: []byte("x")},
			),
			want: []gotMessage{{4, 1, 1, 8, ""}, {4, 2, 1, 8, ""}, {4, 3, 1, 8, "x"}},
		},
		{
			name: "type 1 first",
			in:   chunks(chunk{format: 1, csid: 9, ts: 5, length: 1, typ: 8, payload: []byte("x")}),
			want: []gotMessage{{9, 5, 0, 8, "x"}},
		},
		{name: "type 2 first", in: chunks(chunk{format: 2, csid: 9, ts: 5}), err: ErrProtocol},
		{name: "type 3 first", in: chunks(chunk{format: 3, csid: 9, payload: []byte("x")}), err: ErrProtocol},
	}
}

func chunkExtendedCases() []chunkCase {
	b300 := body(300)
	// split sends b300 as one message with the header first; more marks whether
	// the type 3 chunks carry the extended field.
	split := func(first chunk, more bool) []byte {
		first.length, first.payload = 300, b300[:128]
		return chunks(first,
			chunk{format: 3, csid: first.csid, ts: first.ts, ext: more, payload: b300[128:256]},
			chunk{format: 3, csid: first.csid, ts: first.ts, ext: more, payload: b300[256:]})
	}
	msg := func(ts uint32) gotMessage { return gotMessage{6, ts, 1, 9, string(b300)} }
	x := func(format uint8, ts uint32) chunk { return chunk{format: format, csid: 6, ts: ts, typ: 9, sid: 1} }
	cat := slices.Concat[[]byte]

	// A payload that begins as the extended timestamp does, to the third byte.
	twin := append([]byte{1, 0, 0}, body(297)...)
	twinIn := chunks(
		chunk{csid: 6, ts: 0x1000000, length: 131, typ: 9, sid: 1, payload: twin[:128]},
		chunk{format: 3, csid: 6, payload: []byte{1, 0, 0}},
		chunk{csid: 4, ts: 1, length: 1, typ: 8, sid: 1, payload: []byte("z")},
	)
	return []chunkCase{
		{name: "chunk-ext-type3/present", in: split(x(0, 0x1000000), true), want: []gotMessage{msg(0x1000000)}},
		{name: "chunk-ext-type3/left out", in: split(x(0, 0x1000000), false), want: []gotMessage{msg(0x1000000)}},
		{
			name: "chunk-ext-type3/left out, payload begins alike",
			in:   twinIn,
			want: []gotMessage{{6, 0x1000000, 1, 9, string(twin[:128]) + "\x01\x00\x00"}, {4, 1, 1, 8, "z"}},
		},
		{
			name: "chunk-ext-type3/new message",
			in: chunks(
				chunk{csid: 6, ts: 0x1000000, length: 1, typ: 9, sid: 1, payload: []byte("a")},
				chunk{format: 3, csid: 6, ts: 0x1000000, ext: true, payload: []byte("b")},
				chunk{format: 3, csid: 6, payload: []byte("c")},
			),
			want: []gotMessage{{6, 0x1000000, 1, 9, "a"}, {6, 0x2000000, 1, 9, "b"}, {6, 0x3000000, 1, 9, "c"}},
		},
		{
			name: "chunk-ext-type3/off again with a short header",
			in: cat(
				split(x(0, 0x1000000), true),
				split(x(1, 10), false),
			),
			want: []gotMessage{msg(0x1000000), msg(0x100000A)},
		},
		{
			name: "chunk-ext-delta/type 1",
			in:   cat(split(x(0, 5), false), split(x(1, 0x1000000), true)),
			want: []gotMessage{msg(5), msg(0x1000005)},
		},
		{
			name: "chunk-ext-delta/type 2 then type 3",
			in: cat(split(x(0, 5), false), split(x(2, 0x1000000), true),
				split(chunk{format: 3, csid: 6, ts: 0x1000000, ext: true}, true)),
			want: []gotMessage{msg(5), msg(0x1000005), msg(0x2000005)},
		},
		{
			name: "chunk-ext-boundary/absolute",
			in:   cat(split(x(0, 0xFFFFFE), false), split(x(0, 0xFFFFFF), true), split(x(0, 0x1000000), true)),
			want: []gotMessage{msg(0xFFFFFE), msg(0xFFFFFF), msg(0x1000000)},
		},
		{
			name: "chunk-ext-boundary/delta",
			in: cat(split(x(0, 0), false), split(x(1, 0xFFFFFE), false), split(x(1, 0xFFFFFF), true),
				split(x(2, 0x1000000), true)),
			want: []gotMessage{msg(0), msg(0xFFFFFE), msg(0x1FFFFFD), msg(0x2FFFFFD)},
		},
		{
			name: "chunk-ext-boundary/the sum crosses",
			in:   cat(split(x(0, 0xFFFFF0), false), split(x(1, 0x20), false), split(x(2, 0x20), false)),
			want: []gotMessage{msg(0xFFFFF0), msg(0x1000010), msg(0x1000030)},
		},
		{
			name: "ts-wrap/2^32",
			in:   cat(split(x(0, 0xFFFFFFF0), true), split(x(1, 0x20), false), split(x(0, 0x7FFFFFFF), true)),
			want: []gotMessage{msg(0xFFFFFFF0), msg(0x10), msg(0x7FFFFFFF)},
		},
		{
			name: "an extended field below 0xFFFFFF",
			in:   split(chunk{csid: 6, ts: 7, ext: true, typ: 9, sid: 1}, true),
			want: []gotMessage{msg(7)},
		},
	}
}

func chunkOrderCases() []chunkCase {
	b300, b200 := body(300), body(200)
	v := func(format uint8, from, to int) chunk {
		return chunk{format: format, csid: 6, ts: 10, length: 300, typ: 9, sid: 1, payload: b300[from:to]}
	}
	tiny := []byte{}
	for i, c := range body(20) {
		if i == 0 {
			tiny = chunk{csid: 6, ts: 0x1000001, length: 20, typ: 9, sid: 1, payload: []byte{c}}.append(tiny)
			continue
		}
		tiny = chunk{format: 3, csid: 6, ts: 0x1000001, ext: true, payload: []byte{c}}.append(tiny)
	}
	a0 := chunk{csid: 4, ts: 11, length: 200, typ: 8, sid: 1, payload: b200[:128]}
	a1 := chunk{format: 3, csid: 4, payload: b200[128:]}
	video := gotMessage{6, 10, 1, 9, string(b300)}
	audio := gotMessage{4, 11, 1, 8, string(b200)}
	return []chunkCase{
		{
			name: "chunk-interleave",
			in:   chunks(v(0, 0, 128), a0, v(3, 128, 256), a1, v(3, 256, 300)),
			want: []gotMessage{audio, video},
		},
		{
			name: "chunk-abort",
			in: chunks(v(0, 0, 128), a0, abortMessage(6), a1, v(0, 0, 128), v(3, 128, 256), v(3, 256, 300),
				abortMessage(6), abortMessage(77)),
			want: []gotMessage{audio, video},
		},
		{
			name: "chunk-size-1",
			in:   slices.Concat(chunks(chunkSizeMessage(1)), tiny),
			want: []gotMessage{{6, 0x1000001, 1, 9, string(body(20))}},
		},
		{
			name: "chunk-size-change/in the middle of another message",
			in: chunks(v(0, 0, 128), chunkSizeMessage(50), v(3, 128, 178), a0size(b200, 50), chunkSizeMessage(1000),
				v(3, 178, 300), chunk{format: 3, csid: 4, payload: b200[50:]}),
			want: []gotMessage{video, audio},
		},
		{
			name: "chunk-size-change/16 MiB and more",
			in:   chunks(chunkSizeMessage(0x7FFFFFFF), v(0, 0, 300)),
			want: []gotMessage{video},
		},
		{name: "chunk-size-change/0", in: chunks(chunkSizeMessage(0)), err: ErrProtocol},
		{name: "chunk-size-change/high bit", in: chunks(chunkSizeMessage(1 << 31)), err: ErrProtocol},
		{
			name: "length changes midway",
			in:   chunks(v(0, 0, 128), chunk{csid: 6, ts: 10, length: 299, typ: 9, sid: 1, payload: b300[128:256]}),
			err:  ErrProtocol,
		},
		{
			name: "type changes midway",
			in:   chunks(v(0, 0, 128), chunk{format: 1, csid: 6, ts: 10, length: 300, typ: 8, payload: b300[128:256]}),
			err:  ErrProtocol,
		},
		{
			name: "the same header again midway",
			in:   chunks(v(0, 0, 128), v(0, 128, 256), v(1, 256, 300)),
			want: []gotMessage{video},
		},
		{
			name: "message too long",
			in:   chunks(chunk{csid: 6, length: media.MaxMessageVideo + 1, typ: 9}),
			err:  ErrLimit,
		},
		{name: "control message too long", in: chunks(chunk{csid: 2, length: 65, typ: 4}), err: ErrLimit},
		{name: "metadata too long", in: chunks(chunk{csid: 2, length: media.MaxMessageData + 1, typ: 18}), err: ErrLimit},
		{name: "command too long", in: chunks(chunk{csid: 2, length: media.MaxMessageCommand + 1, typ: 20}), err: ErrLimit},
	}
}

func a0size(b []byte, n int) chunk {
	return chunk{csid: 4, ts: 11, length: len(b), typ: 8, sid: 1, payload: b[:n]}
}

func TestChunkReader(t *testing.T) {
	for _, tc := range chunkCases() {
		t.Run(tc.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			sizes := map[string]func() int{
				"whole":              func() int { return len(tc.in) },
				"one byte at a time": func() int { return 1 },
				"random":             func() int { return 1 + rng.IntN(40) },
			}
			for name, size := range sizes {
				got, r, err := readChunks(tc.in, size)
				if !errors.Is(err, tc.err) || (tc.err == nil && err != nil) {
					t.Fatalf("%s: error %v, want %v", name, err, tc.err)
				}
				if !reflect.DeepEqual(got, tc.want) {
					t.Fatalf("%s: got %s\nwant %s", name, brief(got), brief(tc.want))
				}
				if r.settle(); tc.err == nil && (r.partial != 0 || r.budget.Used() != 0) {
					t.Errorf("%s: %d bytes still count as partial, %d in the budget", name, r.partial, r.budget.Used())
				}
			}
		})
	}
}

func brief(list []gotMessage) string {
	var b bytes.Buffer
	for _, m := range list {
		fmt.Fprintf(&b, "{csid %d ts %#x sid %d type %d %d bytes %.8x} ", m.CSID, m.Timestamp, m.StreamID, m.Typ, len(m.Body), m.Body)
	}
	return b.String()
}

// A truncated input is no error and no message: the reader waits.
func TestChunkReaderWaits(t *testing.T) {
	for _, tc := range chunkCases() {
		if tc.err != nil || len(tc.want) != 1 {
			continue
		}
		for n := range len(tc.in) {
			got, _, err := readChunks(tc.in[:n], func() int { return n })
			if err != nil {
				t.Fatalf("%s: %d of %d bytes: %v", tc.name, n, len(tc.in), err)
			}
			if len(got) != 0 && !reflect.DeepEqual(got, tc.want) {
				t.Fatalf("%s: %d of %d bytes: %s", tc.name, n, len(tc.in), brief(got))
			}
		}
	}
}

// Memory follows the bytes that came, not the length that was declared.
func TestChunkReaderGrowsAsBytesArrive(t *testing.T) {
	budget := NewBudget(media.MaxPartialBytesProcess)
	r := newChunkReader(budget, media.MaxPartialBytes)
	if err := r.setChunkSize(media.MaxChunkSize); err != nil {
		t.Fatal(err)
	}
	head := chunk{csid: 6, length: media.MaxMessageVideo, typ: 9}.append(nil)
	if _, _, err := r.next(head); err != nil || r.partial != 0 {
		t.Fatalf("after the header: %d bytes held, error %v", r.partial, err)
	}
	block := make([]byte, 1000)
	for sent := len(block); sent < 100_000; sent += len(block) {
		if _, _, err := r.next(block); err != nil {
			t.Fatal(err)
		}
		if held := int(r.partial); held < sent || held > 2*sent+len(block) || int(budget.Used()) != held {
			t.Fatalf("after %d bytes %d are held, %d in the budget", sent, held, budget.Used())
		}
	}
	r.close()
	if budget.Used() != 0 {
		t.Errorf("%d bytes in the budget after close", budget.Used())
	}
}

func TestChunkReaderLimits(t *testing.T) {
	t.Run("chunk streams", func(t *testing.T) {
		var in []byte
		for i := range uint32(media.MaxChunkStreams + 1) {
			in = chunk{csid: 3 + i, length: 1, typ: 8, payload: []byte("a")}.append(in)
		}
		got, r, err := readChunks(in, func() int { return len(in) })
		if !errors.Is(err, ErrLimit) || len(got) != media.MaxChunkStreams {
			t.Errorf("%d messages, error %v, want %v", len(got), err, ErrLimit)
		}
		if len(r.streams) != media.MaxChunkStreams {
			t.Errorf("%d chunk streams are open", len(r.streams))
		}
	})
	t.Run("partial bytes of a connection", func(t *testing.T) {
		r := newChunkReader(nil, 1000)
		in := chunks(
			chunk{csid: 4, length: 700, typ: 9, payload: body(128)}, chunk{format: 3, csid: 4, payload: body(128)},
			chunk{format: 3, csid: 4, payload: body(128)}, chunk{format: 3, csid: 4, payload: body(128)},
			chunk{csid: 5, length: 700, typ: 9, payload: body(128)}, chunk{format: 3, csid: 5, payload: body(128)},
			chunk{format: 3, csid: 5, payload: body(128)}, chunk{format: 3, csid: 5, payload: body(128)},
		)
		if _, _, err := r.next(in); !errors.Is(err, ErrLimit) {
			t.Errorf("error %v, want %v", err, ErrLimit)
		}
		if r.partial > 1000 {
			t.Errorf("%d bytes are held", r.partial)
		}
	})
	t.Run("budget of the process", func(t *testing.T) {
		budget := NewBudget(256)
		a := newChunkReader(budget, media.MaxPartialBytes)
		b := newChunkReader(budget, media.MaxPartialBytes)
		in := chunks(chunk{csid: 4, length: 200, typ: 9, payload: body(128)})
		if _, _, err := a.next(in); err != nil {
			t.Fatal(err)
		}
		n, _, err := b.next(in)
		if !errors.Is(err, ErrBudget) {
			t.Fatalf("error %v, want %v", err, ErrBudget)
		}
		a.close()
		rest := chunk{format: 3, csid: 4, payload: body(72)}.append(in[n:])
		_, s, err := b.next(rest)
		if err != nil || s == nil || len(s.buf) != 200 {
			t.Errorf("goes on with %v, error %v", s, err)
		}
	})
	t.Run("large buffers are dropped", func(t *testing.T) {
		r := newChunkReader(nil, media.MaxPartialBytes)
		r.setMode(media.MaxPartialBytes, media.KeepMessageBuffer)
		r.chunkSize = media.MaxChunkSize
		for i, n := range []int{1000, media.KeepMessageBuffer + 1} {
			in := chunk{csid: 4, length: n, typ: 9, payload: body(n)}.append(nil)
			if _, s, err := r.next(in); s == nil || err != nil {
				t.Fatal(err)
			}
			r.settle()
			if kept := cap(r.streams[0].buf); (i == 0) != (kept > 0) || int(r.kept) != kept {
				t.Errorf("after %d bytes %d are kept, counted as %d", n, kept, r.kept)
			}
		}
	})
}

func TestAppendMedia(t *testing.T) {
	for _, ts := range []uint32{0, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0x7FFFFFFF, 0xFFFFFFFF} {
		for _, n := range []int{0, 1, PlayChunkSize - 1, PlayChunkSize, PlayChunkSize + 1, 3 * PlayChunkSize, 200_000} {
			for typ, csid := range map[media.Type]uint32{media.TypeAudio: 4, media.TypeVideo: 6, media.TypeData: 5} {
				m := Message{Type: typ, Timestamp: ts, Extended: n%2 == 0, Body: body(n)}
				out := AppendMedia([]byte("before"), m)[len("before"):]
				if len(out) != MediaSize(m) {
					t.Fatalf("%s of %d bytes at %#x: MediaSize %d, AppendMedia %d", typ, n, ts, MediaSize(m), len(out))
				}
				in := slices.Concat(chunks(chunkSizeMessage(PlayChunkSize)), out)
				got, r, err := readChunks(in, func() int { return 1 << 20 })
				want := []gotMessage{{csid, ts, playStreamID, uint8(typ), string(m.Body)}}
				if n > media.MaxMessageData && typ == media.TypeData {
					continue
				}
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("%s of %d bytes at %#x: error %v, got %s", typ, n, ts, err, brief(got))
				}
				if r.streams[len(r.streams)-1].hasExt != (ts >= extended || m.Extended) {
					t.Fatalf("%#x: extended timestamp %v", ts, !m.Extended && ts < extended)
				}
			}
		}
	}
}

// The extended timestamp is on every chunk of the message, type 3 too.
func TestAppendMediaLayout(t *testing.T) {
	m := Message{Type: media.TypeVideo, Timestamp: 0x1020304, Body: body(PlayChunkSize + 2)}
	got := AppendMedia(nil, m)
	head := []byte{6, 0xFF, 0xFF, 0xFF, 1, 0, 2, 9, 1, 0, 0, 0, 1, 2, 3, 4}
	tail := append([]byte{0xC6, 1, 2, 3, 4}, m.Body[PlayChunkSize:]...)
	if !bytes.HasPrefix(got, head) || !bytes.HasSuffix(got, tail) {
		t.Errorf("head % x, tail % x", got[:16], got[len(got)-7:])
	}
}

func TestMediaAllocs(t *testing.T) {
	m := Message{Type: media.TypeVideo, Timestamp: 0x1000000, Body: body(200_000)}
	b := make([]byte, 0, MediaSize(m))
	if n := testing.AllocsPerRun(100, func() { b = AppendMedia(b[:0], m) }); n != 0 {
		t.Errorf("AppendMedia allocates %v times", n)
	}
}

func FuzzChunkReader(f *testing.F) {
	for _, tc := range chunkCases() {
		f.Add(tc.in, uint64(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		whole, r, err := readChunks(in, func() int { return len(in) })
		if err == nil && int64(r.partial) != r.budget.Used() {
			t.Fatalf("partial %d, budget %d", r.partial, r.budget.Used())
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		pieces, _, err2 := readChunks(in, func() int { return 1 + rng.IntN(9) })
		if (err == nil) != (err2 == nil) || !reflect.DeepEqual(whole, pieces) {
			t.Fatalf("whole: %s, %v\npieces: %s, %v", brief(whole), err, brief(pieces), err2)
		}
		budget := r.budget
		r.close()
		if budget.Used() != 0 {
			t.Fatal("budget leaks")
		}
	})
}
