package bytelog

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"tmms/media"
)

// fill writes the sequence number over the whole entry, so that a torn or
// reused entry shows.
func fill(b []byte, seq uint32) {
	for i := range b {
		b[i] = byte(seq)
	}
	binary.BigEndian.PutUint32(b, seq)
}

func appendSeq(l *Log, seq uint32, n int) Entry {
	fill(l.Reserve(n), seq)
	return l.Commit(Entry{DTS: media.Timestamp(seq) * 20, Head: 4, Kind: media.KindAudio})
}

func TestAppendAndRead(t *testing.T) {
	l := New()
	if b, ok := l.Bytes(0); !ok || len(b) != 0 {
		t.Errorf("empty log: Bytes(0) = %d bytes, %v", len(b), ok)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var all []byte
	for seq := range uint32(5000) {
		n := 16 + rng.IntN(3000)
		if seq%1000 == 999 {
			n = 600 << 10 // larger than the largest block
		}
		e := appendSeq(l, seq, n)
		if e.Off != int64(len(all)) || int(e.Size) != n {
			t.Fatalf("entry %d at %d+%d, want %d+%d", seq, e.Off, e.Size, len(all), n)
		}
		b := make([]byte, n)
		fill(b, seq)
		all = append(all, b...)
	}
	t.Run("bytes", func(t *testing.T) {
		var got []byte
		for off := int64(0); off < l.Head(); {
			b, ok := l.Bytes(off)
			if !ok || len(b) == 0 {
				t.Fatalf("Bytes(%d) = %d bytes, %v", off, len(b), ok)
			}
			got = append(got, b...)
			off += int64(len(b))
		}
		if !bytes.Equal(got, all) {
			t.Error("bytes differ from what was appended")
		}
	})
	t.Run("entries", func(t *testing.T) {
		r := l.Reader(0)
		for seq := range uint32(5000) {
			e, raw, ok := r.Next()
			if !ok || binary.BigEndian.Uint32(raw) != seq || int(e.Size) != len(raw) || len(e.Body(raw)) != len(raw)-4 {
				t.Fatalf("entry %d: ok %v, size %d, raw %d", seq, ok, e.Size, len(raw))
			}
		}
		if _, _, ok := r.Next(); ok {
			t.Error("an entry behind the head")
		}
		appendSeq(l, 5000, 100)
		if _, raw, ok := r.Next(); !ok || binary.BigEndian.Uint32(raw) != 5000 {
			t.Error("the reader did not see an entry appended later")
		}
	})
	t.Run("at", func(t *testing.T) {
		r := l.Reader(0)
		for {
			e, _, ok := r.Next()
			if !ok {
				break
			}
			for _, off := range []int64{e.Off, e.Off + 1, e.End() - 1} {
				if got, ok := l.At(off); !ok || got.Off != e.Off {
					t.Fatalf("At(%d) = %d, %v, want %d", off, got.Off, ok, e.Off)
				}
			}
		}
	})
	if _, ok := l.Bytes(l.Head() + 1); ok {
		t.Error("bytes above the head")
	}
}

func TestRetire(t *testing.T) {
	l := New()
	for seq := range uint32(2000) {
		appendSeq(l, seq, 1000)
	}
	before := l.Size()
	r := l.Reader(0)
	r.Next()
	l.Retire(1_000_500)
	tail := l.Tail()
	if tail > 1_000_500 || tail < 1_000_500-maxBlock {
		t.Errorf("tail is %d", tail)
	}
	if l.Size() >= before {
		t.Errorf("size %d did not fall from %d", l.Size(), before)
	}
	if _, ok := l.Bytes(tail - 1); ok {
		t.Error("retired bytes can be read")
	}
	if _, ok := l.Bytes(tail); !ok {
		t.Error("the tail can't be read")
	}
	for { // a reader inside a retired block finishes that block
		if _, _, ok := r.Next(); !ok {
			break
		}
	}
	if !r.Overtaken() {
		t.Errorf("reader at %d, tail %d: not overtaken", r.Offset(), tail)
	}
	l.Retire(l.Head())
	if _, ok := l.Bytes(l.Head()); !ok || l.Tail() == l.Head() {
		t.Error("the block being filled was dropped")
	}
}

func TestShrink(t *testing.T) {
	held := func(l *Log) (sum int64) {
		for _, b := range *l.table.Load() {
			sum += int64(len(b.buf)) + int64(len(b.index))*int64(unsafe.Sizeof(Entry{}))
		}
		return sum
	}
	for _, c := range []struct {
		name string
		size func(seq uint32) int
	}{
		{"tiny", func(uint32) int { return 16 }},
		{"a large one in front of which a block ends early", func(seq uint32) int {
			if seq%18 == 0 {
				return maxBlock + 1
			}
			return 16
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const limit = 4 << 20
			l := New()
			for seq := range uint32(100_000) {
				fill(l.Reserve(c.size(seq)), seq)
				l.Commit(Entry{DTS: media.Timestamp(seq / 10)})
				l.Shrink(limit)
				if size := l.Size(); size > limit {
					t.Fatalf("%d bytes are held, the limit is %d", size, limit)
				}
			}
			if got, want := l.Size(), held(l); got != want || got < limit/2 {
				t.Errorf("the size is %d, the blocks hold %d", got, want)
			}
		})
	}
	t.Run("the two newest blocks stay", func(t *testing.T) {
		l := New()
		for seq := range uint32(2000) {
			appendSeq(l, seq, 1000)
			l.Shrink(0)
		}
		if n := len(*l.table.Load()); n != 2 {
			t.Errorf("%d blocks are left", n)
		}
		l.Retire(l.Head())
		if got, want := l.Size(), held(l); got != want {
			t.Errorf("the size is %d, the block holds %d", got, want)
		}
	})
}

func TestBlocksFollowBitrate(t *testing.T) {
	for _, c := range []struct {
		name       string
		size       int
		wantBuf    int
		wantMargin int
	}{
		{"64 kbit/s", 160, minBlock, 0},
		{"2 Mbit/s", 5000, 125_000, 16 << 10},
		{"50 Mbit/s", 125_000, maxBlock, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New()
			for seq := range uint32(2000) { // an entry each 20 ms
				appendSeq(l, seq, c.size)
			}
			got := len(l.cur.buf)
			if got < c.wantBuf-c.wantMargin || got > c.wantBuf+c.wantMargin {
				t.Errorf("block of %d bytes, want about %d", got, c.wantBuf)
			}
			if over := l.Size() - int64(got)*int64(len(*l.table.Load())); over > l.Size()*2/3 {
				t.Errorf("the index takes %d of %d bytes", over, l.Size())
			}
		})
	}
}

func TestReadersNeverSeeTornEntries(t *testing.T) {
	l := New()
	var wg sync.WaitGroup
	const last = 20000
	for range 3 {
		wg.Go(func() {
			r := l.Reader(l.Tail())
			for {
				e, raw, ok := r.Next()
				if !ok {
					if r.Overtaken() {
						r = l.Reader(l.Tail())
					}
					continue
				}
				seq := binary.BigEndian.Uint32(raw)
				if media.Timestamp(seq)*20 != e.DTS || raw[len(raw)-1] != byte(seq) {
					t.Errorf("torn entry %d (dts %d)", seq, e.DTS)
					return
				}
				if seq == last-1 {
					return
				}
			}
		})
	}
	for seq := range uint32(last) {
		appendSeq(l, seq, 64+int(seq%900))
		if seq%100 == 0 {
			l.Retire(l.Head() - 64<<10)
		}
	}
	wg.Wait()
}

func TestReadAllocs(t *testing.T) {
	l := New()
	for seq := range uint32(1000) {
		appendSeq(l, seq, 1000)
	}
	if n := testing.AllocsPerRun(100, func() {
		l.Bytes(500_000)
		l.Bytes(l.Head() - 100)
		l.At(700_000)
	}); n != 0 {
		t.Errorf("%v allocations per read", n)
	}
}
