package rtmp

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// chunkCount is how many random conversations TestChunkIdentity reads back:
//
//	go test ./media/rtmp -run ChunkIdentity -chunk.cases 1000000
var chunkCount = flag.Int("chunk.cases", 5000, "random conversations of TestChunkIdentity")

// sender is a model of what any encoder may do: messages on many chunk streams at
// once, headers of every type that the state allows, times of every size, and a chunk
// size that changes between any two chunks.
type sender struct {
	rng    *rand.Rand
	out    []byte
	size   int
	omits  bool // leaves the extended timestamp out of type 3 chunks, as some do
	states map[uint32]*sending
	ids    []uint32
	want   []gotMessage // in the order in which they end
}

// sending is one chunk stream: its last header, and the message under way.
type sending struct {
	begun    bool
	ts       uint32
	delta    uint32
	ext      bool
	field    uint32 // the value of the last type 0 to 2 header
	length   int
	typ      uint8
	streamID uint32

	now  gotMessage
	rest []byte // of now.Body that is not sent; nil: no message is under way
}

func newSender(seed uint64) *sender {
	s := &sender{rng: rand.New(rand.NewPCG(seed, 22)), size: defaultChunkSize, states: map[uint32]*sending{}}
	s.omits = s.rng.IntN(4) == 0
	for _, most := range []int{60, 256, 65000} {
		for range 1 + s.rng.IntN(2) {
			id := uint32(3 + s.rng.IntN(most))
			s.ids = append(s.ids, id)
			s.states[id] = &sending{}
		}
	}
	return s
}

// run sends n chunks and what else is needed to end their messages.
func (s *sender) run(n int) {
	for range n {
		if s.rng.IntN(8) == 0 {
			s.resize()
		}
		s.chunk(s.ids[s.rng.IntN(len(s.ids))])
	}
	for _, id := range s.ids {
		for s.states[id].rest != nil {
			s.chunk(id)
		}
	}
	if s.omits { // what may be an extended timestamp waits for the next byte
		const ping = "\x00\x06\x00\x00\x00\x07"
		s.out = appendMessage(s.out, csidControl, header{typ: typeUserControl}, []byte(ping), s.size)
		s.want = append(s.want, gotMessage{csidControl, 0, 0, typeUserControl, ping})
	}
}

func (s *sender) resize() {
	size := []int{1, 2, 127, 128, 129, 4096, 65536, 0xFFFFFF}[s.rng.IntN(8)]
	s.out = appendMessage(s.out, csidControl, header{typ: typeSetChunkSize}, binary.BigEndian.AppendUint32(nil, uint32(size)), s.size)
	s.size = size
}

// chunk sends the next chunk of the message on a chunk stream, or begins one.
func (s *sender) chunk(id uint32) {
	st := s.states[id]
	c := chunk{format: 3, csid: id, ext: st.ext && !s.omits, ts: st.field}
	if st.rest == nil {
		c = s.begin(id, st)
	}
	k := min(s.size, len(st.rest))
	c.payload, st.rest = st.rest[:k], st.rest[k:]
	s.out = c.append(s.out)
	if len(st.rest) == 0 {
		st.rest = nil
		s.want = append(s.want, st.now)
	}
}

// begin makes a message and the header of its first chunk: any that can say it.
func (s *sender) begin(id uint32, st *sending) chunk {
	body := s.body([]int{1, 10, 127, 128, 129, 400, 5000}[s.rng.IntN(7)])
	typ, streamID, delta := uint8(typeVideo), uint32(1), s.step()
	if st.begun && s.rng.IntN(2) == 0 { // much like the last one
		typ, streamID, delta = st.typ, st.streamID, st.delta
		body = s.body(st.length)
	} else if s.rng.IntN(2) == 0 {
		typ, streamID = typeAudio, s.rng.Uint32()
	}
	ts := st.ts + delta
	c := chunk{csid: id, length: len(body), typ: typ, sid: streamID, format: s.format(st, len(body), typ, streamID, delta)}
	switch c.format {
	case 0:
		c.ts, st.delta = ts, ts
	case 1, 2:
		c.ts, st.delta = delta, delta
	case 3:
		c.ts, c.ext = st.field, st.ext && !s.omits
	}
	if c.format < 3 {
		st.ext, st.field = c.ts >= extended, c.ts
	}
	st.begun, st.ts, st.length, st.typ, st.streamID = true, ts, len(body), typ, streamID
	st.now, st.rest = gotMessage{id, ts, streamID, typ, string(body)}, body
	return c
}

func (s *sender) body(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.rng.Uint32())
	}
	return b
}

// format picks one of the headers that can say it.
func (s *sender) format(st *sending, length int, typ uint8, streamID, delta uint32) uint8 {
	most := 0
	if st.begun && streamID == st.streamID {
		most = 1
		if length == st.length && typ == st.typ {
			if most = 2; delta == st.delta {
				most = 3
			}
		}
	}
	return uint8(s.rng.IntN(most + 1))
}

func (s *sender) step() uint32 {
	return []uint32{0, 20, 40, 0xFFFFFE, 0xFFFFFF, 0x1000000, 1 << 31, 0xFFFFFFFF, s.rng.Uint32()}[s.rng.IntN(9)]
}

// check reads a conversation back, in pieces.
func (s *sender) check() error {
	got, _, err := readChunks(s.out, func() int { return 1 + s.rng.IntN(3000) })
	if err != nil {
		return err
	}
	if len(got)+len(s.want) > 0 && !reflect.DeepEqual(got, s.want) {
		return fmt.Errorf("read %s\nsent %s", brief(got), brief(s.want))
	}
	return nil
}

// CASES: chunk-ext-type3, chunk-ext-delta, chunk-ext-boundary, chunk-interleave,
// chunk-size-change and ts-wrap, all at once and at random.
func TestChunkIdentity(t *testing.T) {
	count := *chunkCount
	if testing.Short() {
		count = min(count, 1000)
	}
	for seed := range uint64(count) {
		s := newSender(seed)
		s.run(s.rng.IntN(60))
		if err := s.check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func FuzzChunkIdentity(f *testing.F) {
	f.Add(uint64(1), uint16(100))
	f.Add(uint64(2), uint16(3))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		s := newSender(seed)
		s.run(int(n % 1000))
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
	})
}
