package relay

import (
	"errors"
	"io"

	"tmms/cluster/fabric"
	"tmms/media/relaywire"
)

// inbox collects what comes on a stream until it can be parsed.
type inbox struct {
	r   io.Reader
	buf []byte
	off int // parsed

	// enlarge is asked before buf grows beyond the first buffer; nil: it may.
	enlarge func() bool
}

// errEnlarge ends the reading of a stream that may not have a larger buffer.
var errEnlarge = errors.New("relay: too many streams with large headers")

// rest is what has come and was not consumed yet.
func (in *inbox) rest() []byte { return in.buf[in.off:] }

// consume takes n bytes off; slices of them are good until the next fill.
func (in *inbox) consume(n int) { in.off += n }

// larger is the size of the buffer that follows one of n bytes: twice as large, or
// half as large again where that is much.
func larger(n int) int {
	if n < 1<<20 {
		return 2 * n
	}
	return n + n/2
}

// fill reads more. The buffer grows with what has come, never by a declared
// length.
func (in *inbox) fill() error {
	if in.off > 0 {
		in.buf = in.buf[:copy(in.buf, in.buf[in.off:])]
		in.off = 0
	}
	if len(in.buf) == cap(in.buf) {
		if cap(in.buf) >= readBuffer && in.enlarge != nil && !in.enlarge() {
			return errEnlarge
		}
		grown := make([]byte, len(in.buf), max(larger(cap(in.buf)), 512))
		copy(grown, in.buf)
		in.buf = grown
	}
	for {
		n, err := in.r.Read(in.buf[len(in.buf):cap(in.buf)])
		in.buf = in.buf[:len(in.buf)+n]
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Read gives what was not consumed yet, then what comes.
func (in *inbox) Read(b []byte) (int, error) {
	if rest := in.rest(); len(rest) > 0 {
		n := copy(b, rest)
		in.consume(n)
		return n, nil
	}
	return in.r.Read(b)
}

// parse reads one value, and more bytes as long as the parser asks for them.
func parse[T any](in *inbox, f func([]byte) (T, int, error)) (T, error) {
	for {
		v, n, err := f(in.rest())
		if err == nil {
			in.consume(n)
			return v, nil
		}
		if !errors.Is(err, relaywire.ErrShort) {
			return v, err
		}
		if err = in.fill(); err != nil {
			return v, err
		}
	}
}

// parseKind reads the first byte of a unidirectional stream.
func parseKind(b []byte) (relaywire.StreamKind, int, error) {
	if len(b) == 0 {
		return 0, 0, relaywire.ErrShort
	}
	return relaywire.StreamKind(b[0]), 1, nil
}

// reset ends both directions of a stream.
func reset(s *fabric.Stream, code relaywire.Code) {
	s.CancelRead(fabric.StreamErrorCode(code))
	s.CancelWrite(fabric.StreamErrorCode(code))
}
