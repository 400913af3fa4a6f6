package hlsplay

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"tmms/bench/rawsock"
)

// viewer is one connection with its player. It belongs to the loop.
type viewer struct {
	fd     int
	player player
	verify bool

	// The request under way.
	request request
	asked   time.Time
	head    []byte // of the answer, while it is not whole
	answer  answer
	inBody  bool
	keep    bool   // the body is wanted
	body    []byte // if it is
	left    int64  // bytes of the body to come

	// While there is none.
	due   time.Time
	place int // in the heap; -1: it is not there
}

// ask sends the next request.
func (v *viewer) ask(host string, now time.Time) error {
	b := make([]byte, 0, 256)
	b = append(b, "GET "...)
	b = append(b, v.request.path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\nUser-Agent: tmms-bench\r\nAccept: */*\r\n\r\n"...)
	v.asked = now
	n, err := rawsock.Send(v.fd, b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err //nolint:wrapcheck // it says where it comes from
}

// headPiece is how much is read of what may be a head: little, for what is behind
// it is copied in vain.
const headPiece = 1 << 10

// read takes what the socket has; done: the answer is whole.
func (v *viewer) read(scratch []byte) (done bool, err error) {
	for {
		n, err := v.receive(scratch)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false, nil
		case err != nil:
			return false, err
		case n == 0:
			return false, io.ErrUnexpectedEOF
		}
		if v.inBody && v.left == 0 {
			return true, nil
		}
	}
}

func (v *viewer) receive(scratch []byte) (int, error) {
	switch {
	case !v.inBody:
		n, err := rawsock.Recv(v.fd, scratch[:headPiece])
		if err != nil || n == 0 {
			return n, err //nolint:wrapcheck // an errno
		}
		return n, v.feed(scratch[:n])
	case v.keep:
		n, err := rawsock.Recv(v.fd, scratch[:min(int64(len(scratch)), v.left)])
		v.body = append(v.body, scratch[:n]...)
		v.left -= int64(n)
		return n, err //nolint:wrapcheck // an errno
	}
	n, err := rawsock.Drain(v.fd, v.left)
	v.left -= int64(n)
	return n, err //nolint:wrapcheck // an errno
}

// feed takes bytes of a head, and what is behind it.
func (v *viewer) feed(b []byte) error {
	v.head = append(v.head, b...)
	a, n, err := parseHead(v.head)
	if err != nil || n == 0 {
		return err
	}
	rest := v.head[n:]
	if int64(len(rest)) > a.length {
		return errors.New("hlsplay: more bytes than the answer has")
	}
	v.answer, v.inBody, v.left = a, true, a.length-int64(len(rest))
	v.keep = v.request.kind != kindSegment || v.verify
	v.body = v.body[:0]
	if v.keep {
		v.body = append(v.body, rest...)
	}
	v.head = v.head[:0]
	return nil
}

// wholePackets tells whether a segment is TS packets and nothing else.
func wholePackets(b []byte) bool {
	const packet, sync = 188, 0x47
	if len(b) == 0 || len(b)%packet != 0 {
		return false
	}
	for i := 0; i < len(b); i += packet {
		if b[i] != sync {
			return false
		}
	}
	return true
}

// waiters is a heap of viewers by the time of their next request.
type waiters []*viewer

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].due.Before(w[j].due) }

func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place, w[j].place = i, j
}

// Push implements heap.Interface.
func (w *waiters) Push(x any) {
	v, _ := x.(*viewer)
	v.place = len(*w)
	*w = append(*w, v)
}

// Pop implements heap.Interface.
func (w *waiters) Pop() any {
	last := len(*w) - 1
	v := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	v.place = -1
	return v
}
