package fanout

import "tmms/cluster/relay"

// pass is what the viewers of one channel share while a slot is flushed: the
// stream is looked at once, not once per viewer.
type pass struct {
	channel *channel
	view    *view
	final   bool  // nothing will follow what is in the log
	head    int64 // of the view's log
	from    int64 // offset of bytes
	bytes   []byte
	sent    int64 // bytes, by all viewers of the pass, but for the batch
}

// begin looks at the channel's stream.
func (p *pass) begin(ch *channel) {
	*p = pass{channel: ch, view: ch.view}
	if ch.live == nil {
		return
	}
	// The state goes first: once it says ended the log's head is the last.
	ended := ch.live.State() == relay.StateEnded
	p.final = ch.view.advance() && ended
	p.head = ch.view.log.Head()
	ch.screen()
	ch.head, ch.final = p.head, p.final
	if n := ch.view.resets.Load(); n != ch.resets {
		ch.engine.stats.skips.Add((n - ch.resets) * int64(ch.viewers))
		ch.resets = n
	}
}

// end returns the bytes that were sent.
func (p *pass) end() int64 {
	sent := p.sent
	*p = pass{}
	return sent
}

// at returns the log's bytes from off to the end of a message, none at the
// head; most viewers of a slot stand at the same place.
func (p *pass) at(off int64) (b []byte, ok bool) {
	if i := off - p.from; i >= 0 && i < int64(len(p.bytes)) {
		return p.bytes[i:], true
	}
	if off >= p.head {
		return nil, true
	}
	b, ok = p.view.log.Bytes(off)
	if ok {
		p.from, p.bytes = off, b
	}
	return b, ok
}

// turn gives the viewer what it lacks, within its budget. With batch, a viewer
// that needs no care gets it with the batch, see [Viewer.OnSent]: nearly all
// turns are that, and look at nothing else.
func (v *Viewer) turn(p *pass, batch bool) {
	if batch && v.flags&(flagsCare|flagJoined) == flagJoined && v.shift == 0 && v.prefix == nil {
		switch b, ok := p.at(v.cursor); {
		case !ok, len(b) > viewerBudget:
		case len(b) == 0:
			v.idle(p.final)
			return
		default:
			v.conn.SendLater(b, v)
			return
		}
	}
	v.care(p)
}

// care is a turn of a viewer that something waits for, that has a prefix or a
// clock of its own, or that may be late.
func (v *Viewer) care(p *pass) {
	if v.flags&flagBlocked != 0 {
		v.check(p)
		return
	}
	for budget := viewerBudget; v.due() && v.inTime(p); {
		b, ok := v.next(p)
		switch {
		case !ok:
			v.leave(ErrOvertaken)
			return
		case len(b) == 0:
			v.idle(p.final)
			return
		case budget <= 0:
			v.pause()
			return
		}
		n, err := v.send(p, b, budget)
		if err != nil {
			v.leave(err)
			return
		}
		budget -= n
	}
}

// due does what had to wait for the end of a message: the sink's own bytes, and
// leaving. It tells whether the viewer can be sent to after that.
func (v *Viewer) due() bool {
	if v.flags&(flagControl|flagLeaving) != 0 && v.flags&flagMid == 0 {
		if v.flags&flagLeaving != 0 {
			v.leave(v.stopReason())
			return false
		}
		if !v.control() {
			return false
		}
	}
	return v.flags&(flagJoined|flagBlocked) == flagJoined
}

// control gives the sink its turn; false when the viewer's turn is over.
func (v *Viewer) control() bool {
	done, err := v.sink.SendControl()
	switch {
	case v.bucket == nil:
		return false
	case err != nil:
		v.leave(err)
		return false
	case !done:
		v.block(true)
		return false
	}
	v.flags &^= flagControl
	return true
}

// next is what the viewer gets next: the rest of its prefix, else from the log
// up to the head or the end of a block, or only to the end of the message in
// hand if something waits for that.
func (v *Viewer) next(p *pass) (b []byte, ok bool) {
	if v.prefix != nil {
		return v.prefix.bytes[v.prefixOff:], true
	}
	if v.slow.holds(v.cursor) {
		return v.slow.hand[v.cursor-v.slow.handAt:], true
	}
	b, ok = p.at(v.cursor)
	if ok && len(b) > 0 && v.flags&flagMid != 0 && v.flags&(flagControl|flagLeaving|flagLate) != 0 {
		e, found := p.view.log.At(v.cursor)
		if !found {
			return nil, false
		}
		b = b[:e.End()-v.cursor]
	}
	return b, ok
}

// send passes b, which begins at the viewer's place and ends with a message, to
// the socket: at most limit bytes of it.
func (v *Viewer) send(p *pass, b []byte, limit int) (n int, err error) {
	piece := b[:min(len(b), limit)]
	switch s := &p.channel.engine.shifted; {
	case v.shift == 0 || v.prefix != nil:
	case v.slow.holds(v.cursor):
		piece = s.rest(p.view.format, v.slow, v.cursor, piece, v.shift)
	default:
		piece = s.piece(p.view, v.cursor, piece, v.shift)
	}
	n, err = v.conn.Send(piece)
	v.took(n, n < len(piece), n < len(b))
	p.sent += int64(n)
	return n, err
}

// OnSent implements [Completion]: the viewer's part of a batch was sent.
func (v *Viewer) OnSent(n, asked int, err error) {
	if v.bucket == nil {
		return
	}
	if err != nil {
		v.leave(err)
		return
	}
	v.took(n, n < asked, n < asked)
	switch ch := v.bucket.channel; {
	case n < asked:
	case v.cursor < ch.head: // behind a block's end
		ch.engine.enqueue(v)
	default:
		v.idle(ch.final)
	}
}

// took notes that the socket has taken n bytes: all it has room for if blocked,
// the last of them inside a message if mid.
func (v *Viewer) took(n int, blocked, mid bool) {
	if n > 0 {
		ch := v.bucket.channel
		ch.engine.sent[ch.format] += int64(n)
		ch.engine.turns -= n / turnBytes
		v.sent += int64(n)
		v.flags &^= flagMid
		if mid {
			v.flags |= flagMid
		}
		if v.prefix == nil {
			v.cursor += int64(n)
		} else if v.prefixOff += uint32(n); int(v.prefixOff) == len(v.prefix.bytes) {
			v.prefix = nil
		}
	}
	if blocked || v.flags&flagBehind != 0 {
		v.strained(n > 0, blocked)
	}
}

// idle notes that the viewer has everything; at the end of the stream it leaves.
func (v *Viewer) idle(final bool) {
	if v.flags&flagBehind != 0 {
		v.relax()
	}
	v.flags &^= flagBehind | flagFresh | flagLate
	if final {
		v.leave(ErrEnded)
	}
}

// pause ends a turn whose budget is used up; another one comes soon.
func (v *Viewer) pause() {
	if v.flags&flagBehind != 0 {
		v.hear()
	}
	v.bucket.channel.engine.enqueue(v)
}
