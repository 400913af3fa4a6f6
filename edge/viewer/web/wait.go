package web

import (
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// parkCheck is how often those that wait look for their playlist, and hastyCheck
// how often those for whom milliseconds count do, at most: loops look in each tick.
const (
	parkCheck  = 20 * time.Millisecond
	hastyCheck = 5 * time.Millisecond
)

// Budget of the answers to those that wait, in one tick, beside the loop's time
// for it: when the stream of ten thousand comes, live viewers are flushed in
// between.
const (
	wakeAnswers = 256
	wakeLooks   = 8192
	wakeBytes   = 4 << 20
)

// waitlist is the connections of a loop whose requests are parked, by stream: a
// change of one stream's index costs the others nothing. It belongs to the loop.
type waitlist struct {
	parties map[*hlsStream]*party
	count   int
	hasty   int      // of count
	due     []*party // with members that have to look again
	over    []*conn  // that have waited long enough, those answered meanwhile included
	looked  time.Duration
	woken   int64 // answers so far
}

// party is those that wait for the same stream.
type party struct {
	stream *hlsStream
	index  *hls.Index // of the stream, as of the last look
	conns  []*conn
	hasty  int  // of conns
	left   int  // so many of conns, the first ones, have to look again
	due    bool // in waitlist.due
}

// park lets a request wait; false: too many do.
func (c *conn) park(w *waiting) bool {
	l := c.loop
	if l.waits.count >= media.MaxParkedRequests || l.server.gate.Draining() {
		return false
	}
	c.wait, c.state = w, stateParked
	l.tally.parked[c.kind].Add(1)
	l.waits.add(c)
	l.loop.Wake()
	c.rc.SetTimer(w.patience())
	return true
}

func (w *waitlist) add(c *conn) {
	p := w.parties[c.wait.stream]
	if p == nil {
		if w.parties == nil {
			w.parties = map[*hlsStream]*party{}
		}
		p = &party{stream: c.wait.stream}
		w.parties[p.stream] = p
	}
	c.party, c.seat, c.over = p, uint32(len(p.conns)), false
	p.conns = append(p.conns, c)
	w.count++
	if c.wait.hasty() {
		p.hasty++
		w.hasty++
	}
}

// remove takes a connection out; its hold on the stream is the caller's.
func (w *waitlist) remove(c *conn) {
	p := c.party
	last := len(p.conns) - 1
	p.conns[c.seat] = p.conns[last]
	p.conns[c.seat].seat = c.seat
	p.conns[last] = nil
	p.conns = p.conns[:last]
	p.left = min(p.left, last)
	if last == 0 {
		delete(w.parties, p.stream)
	}
	w.count--
	if c.wait.hasty() {
		p.hasty--
		w.hasty--
	}
	c.wait, c.party, c.over = nil, nil, false
}

// expire lets a connection be told, in its turn, that it has waited in vain.
func (w *waitlist) expire(c *conn) {
	c.over = true
	w.over = append(w.over, c)
}

// look finds the streams whose index has changed: at once where milliseconds
// count, else now and then.
func (w *waitlist) look(now time.Duration) {
	all := now-w.looked >= parkCheck
	if all {
		w.looked = now
	} else if w.hasty == 0 {
		return
	}
	for _, p := range w.parties {
		if !all && p.hasty == 0 {
			continue
		}
		x := p.stream.playlistIndex()
		if x == p.index {
			continue
		}
		p.index, p.left = x, len(p.conns)
		if !p.due {
			p.due = true
			w.due = append(w.due, p)
		}
	}
}

// next takes the next connection that has to look again, or has waited long
// enough; nil if there is none.
func (w *waitlist) next() *conn {
	for len(w.due) > 0 {
		p := w.due[0]
		if p.left > 0 {
			p.left--
			return p.conns[p.left]
		}
		p.due = false
		w.due[0] = nil
		w.due = w.due[1:]
	}
	w.due = nil
	for len(w.over) > 0 {
		c := w.over[0]
		w.over[0] = nil
		w.over = w.over[1:]
		if c.over {
			return c
		}
	}
	w.over = nil
	return nil
}

// wake answers those that wait, under the budget of a tick; the rest has its turn
// in the next.
func (l *Loop) wake() {
	sent, woken := l.sent, l.waits.woken
	for range wakeLooks {
		c := l.waits.next()
		if c == nil {
			return
		}
		if !l.wakeOne(c) {
			continue
		}
		if l.waits.woken-woken >= wakeAnswers || l.sent-sent >= wakeBytes || l.loop.Over() {
			return
		}
	}
}

// wakeOne answers a connection if what it waits for has come, or its time is over.
func (l *Loop) wakeOne(c *conn) (answered bool) {
	w, now := c.wait, l.loop.Now()
	r, ok := w.look(now)
	if !ok && c.over {
		r, ok = w.giveUp(now), true
	}
	if !ok {
		return false
	}
	l.waits.remove(c)
	l.waits.woken++
	c.follow(r)
	c.resume()
	return true
}
