package rtmp

import (
	"encoding/binary"
	"fmt"

	"tmms/media"
)

// minBuffer is the first capacity of a message buffer, in bytes.
const minBuffer = 256

// defaultChunkSize is what holds until Set Chunk Size (RTMP 1.0 section 5.4.1).
const defaultChunkSize = 128

// maxChunkHeader is the length of the longest chunk header: 3 + 11 + 4.
const maxChunkHeader = 18

// readerState says what the next byte is.
type readerState uint8

const (
	readHeader   readerState = iota
	readExtended             // the extended timestamp of a type 3 chunk, or payload
	readPayload
)

// chunkReader puts messages together from chunks that are fed in any split.
// Buffers grow as bytes arrive, never by a declared length.
type chunkReader struct {
	streams []chunkStream
	budget  *Budget

	chunkSize uint32
	limit     uint32 // bytes of partial messages that this connection may hold
	partial   uint32 // held now; counted in budget too
	kept      uint32 // capacity of the buffers of idle chunk streams
	left      uint32 // payload bytes left in the current chunk
	current   uint16 // index of the current chunk stream
	keep      uint32 // bytes of the largest buffer that is kept for the next message
	done      bool   // the message of the current chunk stream was returned by next
	state     readerState

	headerLen uint8 // bytes in header; in readExtended: bytes that matched
	heldLen   uint8
	header    [maxChunkHeader]byte
	// held are consumed bytes to read again: what looked like the extended
	// timestamp of a type 3 chunk and was not.
	held [4]byte
}

func newChunkReader(budget *Budget, limit uint32) chunkReader {
	return chunkReader{budget: budget, limit: limit, chunkSize: defaultChunkSize}
}

// next reads up to the end of a message. It returns the bytes consumed and the
// chunk stream whose buf is the message, valid until the next call; nil if b
// ends first.
func (r *chunkReader) next(b []byte) (int, *chunkStream, error) {
	r.settle()
	n := 0
	for {
		src := b[n:]
		if r.heldLen > 0 {
			src = r.held[:r.heldLen]
		}
		if len(src) == 0 && (r.state != readPayload || r.left > 0) {
			return n, nil, nil
		}
		unread := uint8(0)
		k, err := r.step(src, &unread)
		if r.heldLen > 0 {
			r.heldLen = uint8(copy(r.held[:], r.held[k:r.heldLen]))
		} else {
			n += k
		}
		if err != nil {
			return n, nil, err
		}
		r.unread(unread)
		if r.done {
			return n, &r.streams[r.current], nil
		}
	}
}

// unread puts the first n bytes of the expected extended timestamp in front of
// what comes next.
func (r *chunkReader) unread(n uint8) {
	if n == 0 {
		return
	}
	var ext [4]byte
	binary.BigEndian.PutUint32(ext[:], r.streams[r.current].ext)
	copy(r.held[n:], r.held[:r.heldLen])
	copy(r.held[:], ext[:n])
	r.heldLen += n
}

// step consumes bytes of src in the current state; *unread are bytes of earlier
// steps to read again.
func (r *chunkReader) step(src []byte, unread *uint8) (int, error) {
	switch r.state {
	case readHeader:
		return r.stepHeader(src)
	case readExtended:
		n, matched := r.stepExtended(src)
		*unread = matched
		return n, nil
	default:
		return r.stepPayload(src)
	}
}

func (r *chunkReader) stepHeader(src []byte) (int, error) {
	n := 0
	for {
		need := headerLength(r.header[:r.headerLen])
		if int(r.headerLen) == need {
			break
		}
		k := copy(r.header[r.headerLen:need], src[n:])
		n += k
		r.headerLen += uint8(k)
		if int(r.headerLen) < need {
			return n, nil
		}
	}
	h := r.header[:r.headerLen]
	r.headerLen = 0
	return n, r.begin(h)
}

// begin starts a chunk with the complete header h.
func (r *chunkReader) begin(h []byte) error {
	format := h[0] >> 6
	s, err := r.stream(chunkStreamID(h), format)
	if err != nil {
		return err
	}
	fresh := !s.open
	if format < 3 {
		if err := s.apply(format, h[basicLength(h[0]):]); err != nil {
			return err
		}
	} else if fresh {
		s.timestamp += s.delta
	}
	if fresh {
		if err := r.admit(s); err != nil {
			return err
		}
		s.open = true
		r.kept -= uint32(cap(s.buf))
		s.buf = s.buf[:0]
	}
	r.left = min(r.chunkSize, s.length-uint32(len(s.buf)))
	r.state = readPayload
	if format == 3 && s.hasExt {
		r.state = readExtended
	}
	return nil
}

// stream selects or opens a chunk stream. A first header of type 1 is accepted
// as some encoders send it; types 2 and 3 refer to a length nobody gave.
func (r *chunkReader) stream(id uint32, format uint8) (*chunkStream, error) {
	if int(r.current) < len(r.streams) && r.streams[r.current].id == id {
		return &r.streams[r.current], nil
	}
	for i := range r.streams {
		if r.streams[i].id == id {
			r.current = uint16(i)
			return &r.streams[i], nil
		}
	}
	if format > 1 {
		return nil, fmt.Errorf("%w: chunk stream %d begins with a header of type %d", ErrProtocol, id, format)
	}
	if len(r.streams) >= media.MaxChunkStreams {
		return nil, fmt.Errorf("%w: chunk stream %d is one more than %d", ErrLimit, id, media.MaxChunkStreams)
	}
	if r.streams == nil {
		r.streams = make([]chunkStream, 0, maxParked)
	}
	r.streams = append(r.streams, chunkStream{id: id})
	r.current = uint16(len(r.streams) - 1)
	return &r.streams[r.current], nil
}

func (r *chunkReader) admit(s *chunkStream) error {
	if limit := min(maxLength(s.typ), r.limit); s.length > limit {
		return fmt.Errorf("%w: message of type %d declares %d bytes, the limit is %d", ErrLimit, s.typ, s.length, limit)
	}
	return nil
}

// stepExtended compares the four bytes behind a type 3 header with the
// extended timestamp that the chunk stream's last full header had. The first
// byte that differs shows that the sender leaves the field out: matched bytes
// are to be read again, as payload.
func (r *chunkReader) stepExtended(src []byte) (n int, matched uint8) {
	var want [4]byte
	binary.BigEndian.PutUint32(want[:], r.streams[r.current].ext)
	for n < len(src) && r.headerLen < 4 {
		if src[n] != want[r.headerLen] {
			// Bytes that matched in this very call are given back by not consuming them.
			matched, r.headerLen, r.state = r.headerLen-uint8(n), 0, readPayload
			return 0, matched
		}
		n++
		r.headerLen++
	}
	if r.headerLen == 4 {
		r.headerLen, r.state = 0, readPayload
	}
	return n, 0
}

func (r *chunkReader) stepPayload(src []byte) (int, error) {
	s := &r.streams[r.current]
	k := min(uint32(len(src)), r.left)
	if err := r.reserve(s, k); err != nil {
		return 0, err
	}
	s.buf = append(s.buf, src[:k]...)
	r.left -= k
	if r.left == 0 {
		r.state = readHeader
		r.done = uint32(len(s.buf)) == s.length
	}
	return int(k), nil
}

// reserve makes room for k more bytes of a message, within the limits.
func (r *chunkReader) reserve(s *chunkStream, k uint32) error {
	size, need := uint32(cap(s.buf)), uint32(len(s.buf))+k
	if need > size {
		size = min(max(need, 2*size, minBuffer), max(s.length, need))
	}
	if more := size - min(size, s.charged); more > 0 {
		if r.partial+more > r.limit {
			return fmt.Errorf("%w: unfinished messages of %d bytes, the limit is %d", ErrLimit, r.partial+more, r.limit)
		}
		if !r.budget.acquire(int(more)) {
			return fmt.Errorf("%w: %d more bytes wanted", ErrBudget, more)
		}
		r.partial += more
		s.charged = size
	}
	if size > uint32(cap(s.buf)) {
		s.buf = append(make([]byte, 0, size), s.buf...)
	}
	return nil
}

// settle closes the message that next returned last.
func (r *chunkReader) settle() {
	if r.done {
		r.done = false
		r.drop(&r.streams[r.current])
	}
}

// drop forgets the message of s; the buffer stays if it is small.
func (r *chunkReader) drop(s *chunkStream) {
	r.partial -= s.charged
	r.budget.release(int(s.charged))
	s.charged = 0
	s.open = false
	size := uint32(cap(s.buf))
	if size > r.keep || r.kept+size > media.KeepMessageBuffers {
		s.buf = nil
		return
	}
	r.kept += size
}

// abort discards the unfinished message of a chunk stream (RTMP 1.0 section 5.4.2).
func (r *chunkReader) abort(id uint32) {
	for i := range r.streams {
		s := &r.streams[i]
		if returned := r.done && i == int(r.current); s.id == id && s.open && !returned {
			r.drop(s)
		}
	}
}

// setChunkSize takes a Set Chunk Size message (RTMP 1.0 section 5.4.1): from
// the next chunk on, of whatever message. All sizes above 0xFFFFFF mean the
// same, as no message is longer.
func (r *chunkReader) setChunkSize(v uint32) error {
	if v == 0 || v>>31 != 0 {
		return fmt.Errorf("%w: chunk size %d is not 1 to 2^31-1", ErrProtocol, v)
	}
	r.chunkSize = min(v, media.MaxChunkSize)
	return nil
}

// setMode bounds partial messages and kept buffers anew.
func (r *chunkReader) setMode(limit, keep uint32) {
	r.limit, r.keep = limit, keep
	for i := range r.streams {
		if s := &r.streams[i]; !s.open && uint32(cap(s.buf)) > keep {
			r.kept -= uint32(cap(s.buf))
			s.buf = nil
		}
	}
}

// playerMode is for a player: acknowledgements and pings come in buffers that
// are there.
func (r *chunkReader) playerMode() { r.setMode(media.MaxPreAuthBytes, media.MaxMessageControl) }

// close gives everything back.
func (r *chunkReader) close() {
	r.budget.release(int(r.partial))
	*r = chunkReader{}
}
