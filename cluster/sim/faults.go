package sim

import (
	"time"

	"tmms/cluster/verdict"
)

// Times of a run.
const (
	calmUntil   = 12 * time.Second
	killUntil   = 22 * time.Second // the fast path is measured between these
	faultsUntil = 42 * time.Second
	maxFaults   = 8
)

// makeFaults makes some faults, each with its end.
func (w *world) makeFaults() {
	for range 1 + w.rng.IntN(maxFaults) {
		at := killUntil + w.within(faultsUntil-killUntil)
		faults := []func(){
			w.crash, w.crash, w.crash, w.bounce,
			w.pause, w.pause, w.partition, w.partition, w.lossy, w.slow, w.jump, w.drain, w.leave,
		}
		w.at(at, faults[w.rng.IntN(len(faults))])
	}
}

func (w *world) anyNode() *node {
	list := w.origins
	if w.rng.IntN(5) == 0 {
		list = w.nodes
	}
	return list[w.rng.IntN(len(list))]
}

// crash ends a process, and starts it again after a while.
func (w *world) crash() {
	n := w.anyNode()
	if !n.up {
		return
	}
	w.trace("fault: %s is killed", n)
	n.kill()
	n.troubled = w.now
	w.at(w.now+100*time.Millisecond+w.within(15*time.Second), func() { w.restart(n) })
}

// bounce ends a standby in sync and starts it again before anybody can find it dead;
// its owner ends in that time, or soon after it.
func (w *world) bounce() {
	h := &w.check.streams[w.rng.IntN(len(w.streams))]
	owner, standby := w.byID[h.now.Owner], w.byID[h.now.Standby]
	if !h.placed || !h.now.InSync || owner == nil || !owner.up || !standby.up {
		return
	}
	w.trace("fault: %s is killed, and %s, which is its standby and starts again", owner, standby)
	for _, n := range []*node{owner, standby} {
		at := w.now + w.within(time.Second)
		again := at + 100*time.Millisecond + w.within(verdict.Silence)
		if n == owner {
			again += w.within(10 * time.Second)
		}
		life := n.life
		w.at(at, func() {
			if n.up && n.life == life {
				n.kill()
				n.troubled = w.now
			}
		})
		w.at(again, func() { w.restart(n) })
	}
}

func (w *world) restart(n *node) {
	if !n.up && !n.lost {
		w.trace("%s starts again", n)
		n.start()
		n.troubled = w.now
	}
}

// pause lets a process stand still.
func (w *world) pause() {
	n := w.anyNode()
	if !n.up || n.stands {
		return
	}
	until := w.now + 200*time.Millisecond + w.within(15*time.Second)
	n.stands, n.troubled = true, max(n.troubled, until)
	w.trace("fault: %s stands still until %s", n, until)
	began, life := w.now, n.life
	n.stood = began
	w.at(until, func() {
		if n.life == life && n.stands && n.stood == began {
			n.resume()
		}
	})
}

// partition separates some nodes from the others.
func (w *world) partition() {
	c := &cut{side: make([]bool, len(w.nodes)), oneWay: w.rng.IntN(3) == 0}
	if w.rng.IntN(3) == 0 {
		c.flap = 200*time.Millisecond + w.within(3*time.Second)
	}
	share := w.rng.Float64()
	if w.rng.IntN(2) == 0 {
		c.side[w.anyNode().index] = true
		share = 0
	}
	for i := range c.side {
		c.side[i] = c.side[i] || w.rng.Float64() < share
	}
	until := w.now + 500*time.Millisecond + w.within(12*time.Second)
	w.trace("fault: partition of %v (one way: %t, flaps: %s) until %s", w.named(c.side), c.oneWay, c.flap, until)
	w.net.cuts = append(w.net.cuts, c)
	w.troubled = max(w.troubled, until)
	w.at(until, func() { w.heal(c) })
}

func (w *world) named(side []bool) (list []*node) {
	for i, in := range side {
		if in {
			list = append(list, w.nodes[i])
		}
	}
	return list
}

func (w *world) heal(c *cut) {
	for i := range w.net.cuts {
		if w.net.cuts[i] == c {
			w.net.cuts = append(w.net.cuts[:i:i], w.net.cuts[i+1:]...)
			w.trace("the partition is over")
			return
		}
	}
}

// lossy makes the network lose much.
func (w *world) lossy() {
	before, until := w.net.loss, w.now+time.Second+w.within(8*time.Second)
	w.net.loss = 0.03 + w.rng.Float64()*0.4
	w.trace("fault: %.0f%% are lost until %s", 100*w.net.loss, until)
	w.troubled = max(w.troubled, until)
	w.at(until, func() { w.net.loss = min(before, 0.01) })
}

// slow makes messages late, and overtake each other.
func (w *world) slow() {
	before, until := w.net.jitter, w.now+time.Second+w.within(8*time.Second)
	w.net.jitter = 20*time.Millisecond + w.within(600*time.Millisecond)
	w.trace("fault: messages are up to %s late until %s", w.net.jitter, until)
	w.troubled = max(w.troubled, until)
	w.at(until, func() { w.net.jitter = min(before, 10*time.Millisecond) })
}

// jump sets a wall clock.
func (w *world) jump() {
	n := w.anyNode()
	n.skew += w.within(4*time.Hour) - 2*time.Hour
	w.trace("fault: the clock of %s jumps to %s ahead", n, n.skew)
}

// leave ends a publisher's stream.
func (w *world) leave() {
	st := w.streams[w.rng.IntN(len(w.streams))]
	st.live = false
	w.trace("%s ends", st.key)
	again := w.rng.IntN(2) == 0
	w.at(min(w.now+w.within(10*time.Second), faultsUntil), func() { st.live = st.live || again })
}

// drain empties an origin for a while.
func (w *world) drain() {
	n := w.origins[w.rng.IntN(len(w.origins))]
	if !n.up || !n.joined {
		return
	}
	w.trace("%s is drained", n)
	n.setDrain(n, true)
	w.at(min(w.now+w.within(10*time.Second), faultsUntil), func() { w.undrain(n) })
}

// undrain has whoever is there say it.
func (w *world) undrain(n *node) {
	for _, by := range w.voters {
		if by.up && by.joined {
			by.setDrain(n, false)
			return
		}
	}
}

// healAll ends all faults: processes are started, but for some that are lost for good.
func (w *world) healAll() {
	w.net.cuts, w.net.loss, w.net.jitter = nil, min(w.net.loss, 0.01), min(w.net.jitter, 10*time.Millisecond)
	gone := 0
	for _, n := range w.nodes {
		if n.stands {
			n.resume()
		}
		if n.up {
			continue
		}
		if w.rng.IntN(2) == 0 && gone < (len(w.voters)-1)/2 {
			gone++
			n.lost = true
			w.trace("%s is lost for good", n)
			continue
		}
		w.restart(n)
	}
	w.trace("all faults are over")
}
