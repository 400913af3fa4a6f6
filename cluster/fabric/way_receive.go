package fabric

import (
	"time"

	"golang.org/x/net/ipv4"

	"tmms/cluster/fabric/path"
)

// take takes a packet that is not QUIC's.
func (w *way) take(b, oob []byte) {
	kind, id, err := path.Open(b)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.conduit.now()
	switch kind {
	case path.KindProbe:
		w.takeProbe(now, id, b)
	case path.KindAnswer:
		w.takeAnswer(now, id, b)
	case path.KindSource, path.KindResend, path.KindRepair:
		if w.receiver != nil && w.receiver.ID() == id {
			w.inOOB = append(w.inOOB[:0], oob...)
			w.takeMedia(now, kind, b)
		}
	case path.KindRequest, path.KindReport:
		if w.sender != nil && w.sender.ID() == id {
			w.takeFeedback(now, kind, b)
		}
	}
}

// takeProbe answers the probe of a session. Behind a probe everything begins
// anew. mu is held.
func (w *way) takeProbe(now time.Duration, id path.ID, b []byte) {
	p, err := path.ParseProbe(b)
	if err != nil || !w.knows(id) {
		return
	}
	if w.receiver == nil || w.receiver.ID() != id || w.receiver.Heard() > 0 {
		w.deafen()
		r, ok := path.NewReceiver(id, p.First, w.conduit.budget)
		if !ok {
			return
		}
		w.receiver, w.receiving = r, now
	}
	w.out = path.AppendAnswer(w.out[:0], id, p)
	w.send(w.out)
}

// knows reports whether the peer may mark packets so. mu is held.
func (w *way) knows(id path.ID) bool {
	for _, ids := range w.sessions {
		if ids.in == id {
			return true
		}
	}
	return false
}

// takeMedia takes what the peer's sender sends; give has what comes of it. mu is held.
func (w *way) takeMedia(now time.Duration, kind path.Kind, b []byte) {
	if kind == path.KindRepair {
		_ = w.receiver.Repair(now, b) // a malformed packet is a lost one
	} else {
		_ = w.receiver.Source(now, markable(w.inOOB), b)
	}
	w.feedback(now)
	if w.conduit.resting.Load() {
		w.conduit.look()
	}
}

// feedback asks for what is missing and reports. mu is held.
func (w *way) feedback(now time.Duration) {
	b, ok := w.receiver.Request(now, w.out[:0])
	if w.out = b; ok {
		w.send(b)
	}
	b, ok = w.receiver.Report(now, w.out[:0])
	if w.out = b; ok {
		w.send(b)
	}
}

// give fills ms with packets that are ready; more: there may be others.
func (w *way) give(now time.Duration, ms []ipv4.Message) (n int, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.receiver == nil {
		return 0, false
	}
	for n < len(ms) {
		b, mark, ok := w.receiver.Next(now)
		if !ok {
			return n, false
		}
		put(&ms[n], b, w.inOOB, w.addr)
		if mark {
			markCE(ms[n].OOB[:ms[n].NN])
		}
		n++
	}
	return n, true
}
