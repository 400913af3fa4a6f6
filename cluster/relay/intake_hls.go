package relay

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"

	"tmms/cluster/fabric"
	"tmms/media"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// segmentChunk is the size in which a segment's bytes are kept, firstChunk the least
// that is reserved for one that is still made.
const (
	segmentChunk = 64 << 10
	firstChunk   = 4 << 10
)

// readIndexes reads the stream of segment indexes.
func (in *intake) readIndexes(stream *fabric.ReceiveStream, b *inbox) {
	<-in.ready // the Ok is on its way on another stream
	if !in.beginIndexes(1) {
		stream.CancelRead(code(relaywire.CodeOverflow))
		return
	}
	defer in.beginIndexes(-1)
	var indexes relaywire.Indexes
	for {
		x, n, err := indexes.Parse(b.rest())
		switch {
		case err == nil:
			b.consume(n)
			in.publish(func(s *shelf) *hls.Index { return s.index(x) })
		case !errors.Is(err, relaywire.ErrShort):
			stream.CancelRead(code(relaywire.CodeMalformed))
			in.fail(err)
			return
		default:
			if in.fill(b) != nil { // the end, or a reset: the control stream says what that means
				return
			}
		}
	}
}

// beginIndexes counts a stream of indexes; false: there are too many. An owner
// sends one, and another after HLS viewers have gone and come.
func (in *intake) beginIndexes(n int) bool {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	in.indexing += n
	if in.indexing > media.MaxRelayIndexStreams {
		in.indexing -= n
		return false
	}
	return true
}

// publish lets change work on the shelf and shows readers what it gives.
func (in *intake) publish(change func(*shelf) *hls.Index) {
	p := in.pull
	p.mu.Lock()
	if in.err != nil || !p.hls || p.writer == nil {
		p.mu.Unlock()
		return
	}
	if x := change(&p.shelf); x != nil {
		p.show(x)
		in.dueAck(true)
	}
	err := in.checkEnd()
	p.mu.Unlock()
	if err != nil {
		in.fail(err)
	}
}

// readPiece reads the bytes of a piece; what is not wanted, or too much, is refused.
func (in *intake) readPiece(stream *fabric.ReceiveStream, b *inbox, h relaywire.PieceHeader) {
	<-in.ready
	var chunks [][]byte
	kept := false
	defer func() {
		if !kept {
			in.giveBack(size(chunks))
		}
	}()
	for has := 0; has < h.Size || h.Size == 0; {
		n := nextChunk(has, h.Size)
		if !in.reserve(of(h.Name), n) {
			stream.CancelRead(code(relaywire.CodeOverflow))
			return
		}
		chunk := make([]byte, n)
		chunks = append(chunks, chunk)
		got, err := io.ReadFull(reading{in, b}, chunk)
		if h.Size == 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
			chunks[len(chunks)-1] = bytes.Clone(chunk[:got])
			in.giveBack(n - got)
			break
		}
		if err != nil {
			return
		}
		has += got
	}
	if h.Name.Kind == hls.NamePart && len(chunks) > 1 {
		chunks = [][]byte{slices.Concat(chunks...)} // a part is one chunk of its segment
	}
	in.publish(func(s *shelf) *hls.Index {
		kept = true
		return s.piece(h.Name, chunks)
	})
}

// nextChunk is how many bytes to read behind the first ones of a piece. One whose size
// is not known, 0, may come slowly and stay small: no more is reserved than it has.
func nextChunk(has, size int) int {
	if size > 0 {
		return min(size-has, segmentChunk)
	}
	return min(max(has, firstChunk), segmentChunk)
}

// reading counts what is read of a stream.
type reading struct {
	in *intake
	b  *inbox
}

func (r reading) Read(b []byte) (int, error) {
	n, err := r.b.Read(b)
	if n > 0 {
		r.in.alive()
		r.in.pull.puller.metrics.bytes.Add(float64(n))
	}
	return n, err
}

// reserve asks for room on the shelf, which is the pull's. For a segment that a
// playlist needs, all pulls give up what is behind theirs.
func (in *intake) reserve(id segmentID, n int) bool {
	p := in.pull.puller
	behind, err := in.tryReserve(id, n)
	if now := time.Now(); errors.Is(err, errNoRoom) && !behind && p.segments.mayTrim(now) {
		p.trim()
		p.segments.trimmed(now)
		_, err = in.tryReserve(id, n)
	}
	if errors.Is(err, errNoRoom) {
		p.segments.shed.Add(1)
	}
	return err == nil
}

func (in *intake) tryReserve(id segmentID, n int) (behind bool, err error) {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	if in.err != nil || !in.pull.hls {
		return false, errClosed
	}
	return in.pull.shelf.behind(id), in.pull.shelf.reserve(id, n)
}

func (in *intake) giveBack(n int) {
	in.pull.mu.Lock()
	defer in.pull.mu.Unlock()
	in.pull.shelf.giveBack(n)
}
