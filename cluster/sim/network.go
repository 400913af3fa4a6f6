package sim

import "time"

// network says what becomes of a message.
type network struct {
	w      *world
	loss   float64       // of all messages, 0 to 1
	jitter time.Duration // a message takes up to so much longer than its way
	cuts   []*cut
}

// cut separates the nodes of one side from all others.
type cut struct {
	side   []bool        // by node
	oneWay bool          // what the side sends still comes
	flap   time.Duration // it opens and closes with this period; 0: it stays
	spares *node         // has ways to both sides; nil: nobody
}

// Ways between nodes.
const (
	nearWay = time.Millisecond
	farWay  = 30 * time.Millisecond // to another region
)

// passes reports whether the network has a way between two nodes now.
func (n *network) passes(from, to *node) bool {
	for _, c := range n.cuts {
		if c.flap > 0 && (n.w.now/c.flap)%2 == 1 {
			continue
		}
		if c.spares != nil && (from == c.spares || to == c.spares) {
			continue
		}
		if c.side[from.index] != c.side[to.index] && (!c.oneWay || c.side[to.index]) {
			return false
		}
	}
	return true
}

// delay is how long the next message takes between two nodes; false: it is lost.
func (n *network) delay(from, to *node) (time.Duration, bool) {
	if !n.passes(from, to) || n.w.rng.Float64() < n.loss {
		return 0, false
	}
	way := nearWay
	if from.region != to.region {
		way = farWay
	}
	return way + time.Duration(n.w.rng.Int64N(int64(n.jitter)+1)), true
}

// send has arrive run in the process that runs at to now, when the message comes
// there; nothing if it is lost or the process has ended.
func (w *world) send(from, to *node, arrive func()) {
	if !to.up {
		return
	}
	d, ok := w.net.delay(from, to)
	if !ok {
		return
	}
	life := to.life
	w.at(w.now+d, func() {
		to.whenRuns(life, func() {
			if !w.net.passes(from, to) {
				return
			}
			to.heard[from.index] = w.now
			to.sawFrom(from)
			arrive()
		})
	})
}

// ask is a request with an answer. handle gets a function that sends the answer,
// at any time; done is called once, with ok false if none came in time.
func ask[A any](from, to *node, within time.Duration, handle func(answer func(A)), done func(a A, ok bool)) {
	w, life, over := from.w, from.life, false
	from.after(within, func() {
		if !over {
			over = true
			var none A
			done(none, false)
		}
	})
	w.send(from, to, func() {
		handle(func(a A) {
			if from.life != life {
				return
			}
			w.send(to, from, func() {
				if !over {
					over = true
					done(a, true)
				}
			})
		})
	})
}
