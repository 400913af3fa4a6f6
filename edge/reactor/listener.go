package reactor

import (
	"log/slog"
	"net/netip"

	"tmms/edge/timewheel"
	"tmms/media"
)

const (
	// acceptBatch bounds the accepts of a listener in a turn, so that the
	// connections that are there get their turn too.
	acceptBatch = 64
	// handOverSlack is how many connections more than the least loaded loop a
	// loop may have before it hands fresh ones over.
	handOverSlack = 16
)

// listener is one loop's socket of a listening address.
type listener struct {
	fd    int
	place uint32
	addr  netip.AddrPort
	open  func(*Conn) Protocol
	retry timewheel.Entry // ends a pause of accept
	// failing is set from the first pause to the next accepted connection, so
	// that one shortage is logged once, not at each retry.
	failing bool
}

func (ln *listener) token() token { return makeToken(ln.place, 0) }

// accept takes what waits at a listener.
func (l *Loop) accept(ln *listener) {
	for range acceptBatch {
		f, outcome, err := acceptSocket(ln.fd)
		switch outcome {
		case acceptOK:
			l.count.accepted++
			l.turning.work.accepts++
			ln.failing = false
			f.listener = uint16(ln.place)
			l.admit(f)
		case acceptEmpty:
			return
		case acceptAborted:
			l.count.acceptErrors++
		case acceptNoFiles:
			l.count.acceptErrors++
			l.shed(ln)
			l.pauseAccept(ln, err)
			return
		case acceptFailed:
			l.count.acceptErrors++
			l.pauseAccept(ln, err)
			return
		}
	}
}

// shed gives up the reserve descriptor to take one waiting peer and close it:
// it learns at once that it has to go elsewhere. The rest stay in the backlog.
func (l *Loop) shed(ln *listener) {
	if l.reserve < 0 {
		return
	}
	closeSocket(l.reserve)
	if f, outcome, _ := acceptSocket(ln.fd); outcome == acceptOK {
		closeSocket(int(f.fd))
	}
	l.reserve = l.openReserve()
}

func (l *Loop) openReserve() int {
	fd, err := openReserve()
	if err != nil {
		return -1 // somebody else was faster; the next resume tries again
	}
	return fd
}

// pauseAccept looks away from a listener for [media.AcceptRetry]; without that
// a level-triggered listener would make the loop spin.
func (l *Loop) pauseAccept(ln *listener, cause error) {
	if ln.retry.Active() {
		return
	}
	if !ln.failing {
		ln.failing = true
		l.log.Warn("accept paused", slog.Any("err", cause), slog.String("addr", ln.addr.String()),
			slog.Duration("retry", media.AcceptRetry))
	}
	if err := l.engine.pauseListener(ln.fd, ln.token(), true); err != nil {
		l.fail(err)
	}
	l.wheel.Add(&ln.retry, l.now+media.AcceptRetry)
}

func (l *Loop) resumeAccept(ln *listener) {
	if l.reserve < 0 {
		l.reserve = l.openReserve()
	}
	if ln.fd < 0 {
		return // StopListening came in between
	}
	if err := l.engine.pauseListener(ln.fd, ln.token(), false); err != nil {
		l.fail(err)
	}
}

// admit counts an accepted socket and gives it to its loop: this one, or the
// least loaded if this one has more than its share.
func (l *Loop) admit(f fresh) {
	if !l.reactor.addresses.take(f.addr()) {
		l.count.refused++
		closeSocket(int(f.fd))
		return
	}
	over := l.reactor.pending.Add(1) > int64(l.cfg.MaxPending)
	if to := l.leastLoaded(); to == l || !l.handOver(to, f) {
		l.conns.Add(1)
		l.start(f)
	}
	if over {
		l.evict()
	}
}

// handOver counts f at its new loop at once, so that a burst of connections is
// spread and does not all go to one loop.
func (l *Loop) handOver(to *Loop, f fresh) bool {
	to.conns.Add(1)
	if !to.put(message{fresh: f}) {
		to.conns.Add(-1)
		return false
	}
	l.count.handedOver++
	return true
}

func (l *Loop) leastLoaded() *Loop {
	least, conns := l, l.conns.Load()
	limit := conns
	for _, other := range l.reactor.loops {
		if n := other.conns.Load(); n < conns {
			least, conns = other, n
		}
	}
	if limit <= conns+conns/8+handOverSlack {
		return l
	}
	return least
}

// start makes a Conn of an accepted socket.
func (l *Loop) start(f fresh) { l.take(f, l.listeners[f.listener].open) }

// take is start for what open makes of the connection.
func (l *Loop) take(f fresh, open func(*Conn) Protocol) {
	c := l.slab.take()
	c.loop, c.fd, c.accepted, c.state = l, f.fd, l.now, stateOpen
	c.remoteIP, c.remotePort = f.remoteIP, f.remotePort
	c.timer.Owner = c
	l.addPending(c)
	if err := l.engine.watch(int(f.fd), c.token()); err != nil {
		l.condemn(c, err)
		return
	}
	c.proto = open(c)
	if c.proto == nil {
		l.condemn(c, nil)
	}
}

// closeListeners ends accepting; peers in the backlog are reset.
func (l *Loop) closeListeners() {
	for _, ln := range l.listeners {
		if ln.fd >= 0 {
			l.wheel.Cancel(&ln.retry)
			closeSocket(ln.fd)
			ln.fd = -1
		}
	}
}
