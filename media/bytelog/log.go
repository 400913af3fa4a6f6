// Package bytelog is an append-only log of byte entries in contiguous blocks:
// one writer, any number of readers, no lock and no copy per reader.
//
// It is the packet store of a stream: each entry is one packet, already muxed
// (an FLV tag, an RTMP message), so that what is between a viewer's cursor and
// the head goes out in one send. An entry never spans two blocks. Offsets are
// absolute and only rise; a reader holds an offset and nothing else.
//
//	tail                                                    head
//	 |  block 7 (sealed)   |  block 8 (sealed) | block 9     |
//	 [tag][tag][tag][tag]..|[tag][tag].........|[tag][tag]...|<- Reserve, Commit
//
// The writer fills bytes and index entries beyond the head, then publishes them
// with one atomic store of the head. Retired blocks belong to whoever still
// reads them and then to the garbage collector: a reader can never see bytes
// that are written again.
package bytelog

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"tmms/media"
)

// Block sizes: a block holds about blockSpan of the stream, within these bounds.
const (
	minBlock  = 16 << 10
	maxBlock  = 256 << 10
	blockSpan = 500 // ms of stream time
	pageSize  = 4 << 10

	minIndex = 16 // entries that even the smallest block has room for
)

// Entry describes one entry: the packet without its body, and where it lies.
type Entry struct {
	Off      int64          // absolute offset of the entry's first byte
	ID       media.PacketID // given by the stream's owner
	DTS      media.Timestamp
	Ingested int64  // unix microseconds
	Size     uint32 // bytes in the log, framing included
	Config   uint32 // version of the codec configs in force
	CTO      int32  // composition offset in ms
	Run      uint32
	Head     uint16 // framing bytes in front of the packet's body
	Tail     uint16 // framing bytes behind it
	Type     media.Type
	Kind     media.Kind
	Codec    media.Codec
	Track    media.TrackID
}

// Body cuts the packet's body out of raw, the entry's bytes.
func (e *Entry) Body(raw []byte) []byte { return raw[e.Head : len(raw)-int(e.Tail)] }

// End is the absolute offset behind the entry.
func (e *Entry) End() int64 { return e.Off + int64(e.Size) }

type block struct {
	base  int64
	buf   []byte  // never reallocated; bytes below the head are immutable
	index []Entry // never reallocated; the first n are immutable
	n     atomic.Int32
}

// size is the memory that b holds, in bytes.
func (b *block) size() int64 {
	return int64(len(b.buf)) + int64(len(b.index))*int64(unsafe.Sizeof(Entry{}))
}

// Log is the log. Reserve, Commit, Retire and Shrink belong to one writer at a time;
// everything else may be called from any goroutine.
type Log struct {
	head  atomic.Int64
	size  atomic.Int64             // see Size
	table atomic.Pointer[[]*block] // oldest first; the last one is being filled

	// Owned by the writer.
	cur      *block
	used     int // bytes of cur below the head
	reserved int
	firstDTS media.Timestamp // of cur
}

// New returns an empty log whose first entry has offset 0.
func New() *Log {
	l := &Log{}
	l.table.Store(&[]*block{})
	return l
}

// Head is the offset behind the last entry.
func (l *Log) Head() int64 { return l.head.Load() }

// Tail is the offset of the oldest byte still held; it only rises.
func (l *Log) Tail() int64 {
	if t := *l.table.Load(); len(t) > 0 {
		return t[0].base
	}
	return l.head.Load()
}

// Reserve returns n contiguous bytes for the writer to fill; they are published
// by Commit. A second Reserve without a Commit gives the same place again.
func (l *Log) Reserve(n int) []byte {
	if l.cur == nil || l.used+n > len(l.cur.buf) || int(l.cur.n.Load()) == len(l.cur.index) {
		l.grow(n)
	}
	l.reserved = n
	return l.cur.buf[l.used : l.used+n : l.used+n]
}

// Commit publishes the reserved bytes as one entry; it sets Off and Size.
func (l *Log) Commit(e Entry) Entry {
	n := l.cur.n.Load()
	if n == 0 {
		l.firstDTS = e.DTS
	}
	e.Off, e.Size = l.cur.base+int64(l.used), uint32(l.reserved)
	l.cur.index[n] = e
	l.used += l.reserved
	l.reserved = 0
	l.cur.n.Store(n + 1)
	l.head.Store(e.End())
	return e
}

// grow starts a block with room for an entry of n bytes, sized by the stream's
// own pace in the block before.
func (l *Log) grow(n int) {
	size, entries := minBlock, minIndex
	if l.cur != nil {
		count := int(l.cur.n.Load())
		span := int(l.cur.index[count-1].DTS - l.firstDTS)
		size = l.used * blockSpan / max(span, 1)
		size = min(max(size, minBlock), maxBlock)
		entries = max(minIndex, size/max(l.used/count, 1)*3/2)
	}
	size = (max(size, n) + pageSize - 1) &^ (pageSize - 1)
	// The smallest entry has 16 bytes; more index than that can't be filled.
	entries = min(entries, size/16)
	b := &block{base: l.head.Load(), buf: make([]byte, size), index: make([]Entry, entries)}
	t := append(slices.Clone(*l.table.Load()), b)
	l.table.Store(&t)
	l.size.Add(b.size())
	l.cur, l.used = b, 0
}

// Retire drops the blocks that lie wholly below the offset before. The block
// being filled is never dropped.
func (l *Log) Retire(before int64) {
	t := *l.table.Load()
	n := 0
	for n+1 < len(t) && t[n+1].base <= before {
		n++
	}
	l.drop(n)
}

// Shrink drops the oldest blocks until the log holds at most limit bytes of
// memory, as Size counts it: the packets of many a second are smaller than what
// the index has of them, and a block may end with room that a large packet did
// not fit into. The two newest blocks, where readers are, are never dropped.
func (l *Log) Shrink(limit int64) {
	size := l.size.Load()
	if size <= limit {
		return
	}
	t := *l.table.Load()
	n := 0
	for ; n+2 < len(t) && size > limit; n++ {
		size -= t[n].size()
	}
	l.drop(n)
}

// drop forgets the n oldest blocks.
func (l *Log) drop(n int) {
	if n == 0 {
		return
	}
	t := *l.table.Load()
	rest := slices.Clone(t[n:])
	l.table.Store(&rest)
	for _, b := range t[:n] {
		l.size.Add(-b.size())
	}
}

// Size is the memory that the blocks and their indexes hold, in bytes.
func (l *Log) Size() int64 { return l.size.Load() }

// Bytes returns the published bytes from off to the end of off's block: none at
// the head, and ok = false when off lies below the tail or above the head. The
// slice is immutable and may be kept; keeping it keeps its block.
func (l *Log) Bytes(off int64) (b []byte, ok bool) {
	head := l.head.Load()
	if off == head {
		return nil, true
	}
	if off > head {
		return nil, false
	}
	blk, end := l.find(off, head)
	if blk == nil {
		return nil, false
	}
	return blk.buf[off-blk.base : end-blk.base], true
}

// find returns the block that holds off (below head) and the offset behind that
// block's published bytes; nil when off was retired.
func (l *Log) find(off, head int64) (*block, int64) {
	t := *l.table.Load()
	i := len(t) - 1
	if i < 0 || off < t[0].base {
		return nil, 0
	}
	if off < t[i].base { // not in the newest one, where almost all readers are
		i, _ = slices.BinarySearchFunc(t, off, func(b *block, off int64) int {
			if b.base <= off {
				return -1
			}
			return 1
		})
		i--
	}
	end := head
	if i+1 < len(t) {
		end = min(end, t[i+1].base)
	}
	return t[i], end
}

// At returns the entry that holds the byte at off, or the next one when off is
// the head's; ok = false when there is none or it was retired.
func (l *Log) At(off int64) (e Entry, ok bool) {
	r := l.Reader(off)
	e, _, ok = r.Next()
	return e, ok
}

// Reader returns a reader that starts with the entry that holds the byte at off.
func (l *Log) Reader(off int64) Reader { return Reader{log: l, off: off} }
