package fabric

import (
	"time"

	"tmms/cluster/fabric/path"
	"tmms/media"
)

// tickSender does what a sender has to do by time; busy as tick. mu is held.
func (w *way) tickSender(now time.Duration) (busy bool) {
	if w.control.Silent(now, w.sender.Seq()) {
		w.control.Gone(now)
		w.plain()
		return true
	}
	b, ok := w.sender.Flush(now, w.control.RoundTrip(), w.out[:0])
	if w.out = b; ok {
		w.send(b)
	}
	return !w.sender.Flushed()
}

// write sends QUIC's packets coded; false: they have to go as they are.
func (w *way) write(b, oob []byte) (bool, error) {
	if !w.pace(len(b)) {
		return false, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	size := segmentSize(oob)
	if size == 0 {
		size = len(b)
	}
	if w.sender == nil || size > media.MaxFabricPacket {
		return false, nil
	}
	now := w.conduit.now()
	if err := w.sendSources(now, b, oob, size); err != nil {
		return false, err
	}
	for {
		r, ok := w.sender.Repair(now, w.control.RoundTrip(), w.out[:0])
		if w.out = r; !ok {
			break
		}
		w.send(r)
	}
	if w.conduit.resting.Load() {
		w.conduit.look()
	}
	return true, nil
}

// pace keeps the connections of a path from sending all at once. It blocks their
// send queues, so that they hold back what is behind. false: nothing is coded on
// this path, and nothing paced, though it may be on others.
func (w *way) pace(bytes int) bool {
	w.mu.Lock()
	if w.sender == nil {
		w.mu.Unlock()
		return false
	}
	wait := w.pacer.Sent(w.conduit.now(), bytes)
	w.mu.Unlock()
	if wait < pacePrecision {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	<-timer.C
	return true
}

// pacePrecision is what is not worth a timer.
const pacePrecision = 500 * time.Microsecond

// sendSources sends the packets of size bytes in b, each behind a header. mu is held.
func (w *way) sendSources(now time.Duration, b, oob []byte, size int) error {
	w.oob = withoutSegments(w.oob[:0], oob)
	w.out = w.out[:0]
	for rest := b; len(rest) > 0; {
		n := min(size, len(rest))
		w.out = w.sender.Source(now, rest[:n], w.out)
		rest = rest[n:]
	}
	size += path.SourceSize
	if len(w.out) > size {
		w.outOOB = withSegments(w.outOOB[:0], oob, size)
		if _, _, err := w.conduit.UDPConn.WriteMsgUDP(w.out, w.outOOB, w.addr); err == nil {
			return nil
		}
	}
	for rest := w.out; len(rest) > 0; { // one packet, or a device that makes no segments
		n := min(size, len(rest))
		if _, _, err := w.conduit.UDPConn.WriteMsgUDP(rest[:n], w.oob, w.addr); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// takeAnswer begins to code. mu is held.
func (w *way) takeAnswer(now time.Duration, id path.ID, b []byte) {
	if _, err := path.ParseAnswer(b); err != nil || id != w.probe || !w.control.Answered(now, w.next) {
		return
	}
	s, ok := path.NewSender(now, id, w.next, w.conduit.budget)
	if !ok {
		w.control.Refused(now)
		return
	}
	w.sender = s
	w.conduit.coding.Add(1)
}

// takeFeedback takes what the peer's receiver sends. mu is held.
func (w *way) takeFeedback(now time.Duration, kind path.Kind, b []byte) {
	if kind == path.KindReport {
		r, err := path.ParseReport(b)
		if err != nil {
			return
		}
		w.sender.Strength(w.control.Reported(now, r))
		w.far = path.Outbound{
			Lost: uint64(r.Lost), Repaired: uint64(r.Repaired), Resent: uint64(r.Resent), Unrepaired: uint64(r.Unrepaired),
		}
		return
	}
	ranges, err := path.ParseRequest(b, w.ranges[:0])
	w.ranges = ranges
	if err != nil {
		return
	}
	for _, r := range ranges {
		for i := range r.N {
			b, ok := w.sender.Resend(r.First+path.Seq(i), w.out[:0])
			if w.out = b; ok {
				w.send(b)
			}
		}
	}
}
