package bytelog

import "slices"

// Reader walks over entries. It is a value, owned by one goroutine; while it
// stands in a block it keeps that block.
type Reader struct {
	log *Log
	off int64  // where the next entry starts
	blk *block // the block of off, nil: to be found
	i   int    // index of the next entry in blk
}

// Offset is the absolute offset of the next entry.
func (r *Reader) Offset() int64 { return r.off }

// Next returns the next entry and its bytes, framing included; ok = false at
// the head, and for ever once the reader was overtaken (see [Reader.Overtaken]).
// raw is immutable and may be kept.
func (r *Reader) Next() (e Entry, raw []byte, ok bool) {
	if r.blk == nil || r.i >= int(r.blk.n.Load()) {
		if !r.seek() {
			return Entry{}, nil, false
		}
	}
	e = r.blk.index[r.i]
	r.i++
	r.off = e.End()
	at := e.Off - r.blk.base
	return e, r.blk.buf[at : at+int64(e.Size) : at+int64(e.Size)], true
}

// Overtaken tells that the next entry was retired before it was read.
func (r *Reader) Overtaken() bool {
	return r.off < r.log.Tail() && (r.blk == nil || r.i >= int(r.blk.n.Load()))
}

func (r *Reader) seek() bool {
	head := r.log.head.Load()
	if r.off >= head {
		return false
	}
	blk, _ := r.log.find(r.off, head)
	if blk == nil {
		return false
	}
	n := int(blk.n.Load())
	i, found := slices.BinarySearchFunc(blk.index[:n], r.off, func(e Entry, off int64) int {
		switch {
		case e.End() <= off:
			return -1
		case e.Off > off:
			return 1
		}
		return 0
	})
	if !found {
		return false
	}
	r.blk, r.i = blk, i
	return true
}
