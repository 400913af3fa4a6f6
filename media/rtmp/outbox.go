package rtmp

// keepOutbox is the capacity in bytes that an empty outbox may keep.
const keepOutbox = 4096

// keepOutboxPlay is the same of a player, who gets a pong or an
// acknowledgement now and then.
const keepOutboxPlay = 64

// outbox holds the bytes that wait to be sent.
type outbox struct {
	buf []byte
	off int
}

func (o *outbox) bytes() []byte { return o.buf[o.off:] }

func (o *outbox) len() int { return len(o.buf) - o.off }

// sent drops the first n bytes; an outbox that is empty keeps at most keep
// bytes of room.
func (o *outbox) sent(n, keep int) {
	o.off += min(n, o.len())
	if o.off < len(o.buf) {
		return
	}
	o.off = 0
	o.buf = o.buf[:0]
	if cap(o.buf) > keep {
		o.buf = nil
	}
}

// compact moves what waits to the front, once more has been sent than waits:
// a constant cost per byte.
func (o *outbox) compact() {
	if o.off > 0 && o.off >= o.len() {
		o.buf = o.buf[:copy(o.buf, o.bytes())]
		o.off = 0
	}
}
