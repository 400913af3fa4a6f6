package reactor

// Completion is told the outcome of a [Conn.SendLater]: that n of the asked
// bytes were taken, as of [Conn.Send]. It must not send on the connection.
type Completion = interface {
	OnSent(n, asked int, err error)
}

// later is a send of the batch.
type later struct {
	conn *Conn
	to   Completion
	b    []byte // kept alive for the kernel
}

// SendLater is Send as a part of a batch, which costs less for each: to gets
// the outcome within the next [Loop.Submit], or in this call if the batch is
// full or cannot be used. Until then b must stay as it is, and nothing else may
// be sent on c. SendLater does not allocate.
func (c *Conn) SendLater(b []byte, to Completion) {
	l := c.loop
	if c.state != stateOpen || l.batcher == nil || c.out != nil || l.settling || c.layer != nil {
		n, err := c.Send(b)
		to.OnSent(n, len(b), err)
		return
	}
	if !l.batcher.room() {
		l.Submit()
	}
	l.batcher.queue(int(c.fd), b, uint32(len(l.batch)))
	l.batch = append(l.batch, later{c, to, b})
}

// Submit sends what SendLater has gathered. The loop does it after the hooks in
// any case.
func (l *Loop) Submit() {
	if len(l.batch) == 0 || l.settling {
		return
	}
	l.settling = true
	if err := l.batcher.submit(l.settleFn); err != nil {
		l.fail(err)
	}
	l.settling = false
	clear(l.batch)
	l.batch = l.batch[:0]
}

// settle passes on the outcome of one send.
func (l *Loop) settle(s sent) {
	d := &l.batch[s.tag]
	n, err := d.conn.took(s.n, len(d.b), s.err)
	d.to.OnSent(n, len(d.b), err)
}
