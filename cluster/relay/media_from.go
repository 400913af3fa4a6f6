package relay

import "time"

// MediaFrom gives the time since something came of a stream, packets or at least
// the mark that its source lives, from a node which owns it; false: nothing did on
// the subscriptions that there are now. It is for those who ask whether the node
// is dead, and costs a look at all subscriptions.
func (p *Puller) MediaFrom(node string) (since time.Duration, ok bool) {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for _, l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	last := int64(0)
	for _, l := range links {
		last = max(last, l.heardFrom(node))
	}
	if last == 0 {
		return 0, false
	}
	return max(time.Since(time.Unix(0, last)), 0), true
}

// heardFrom is when the last byte of a subscription at an owner came, in unix
// nanoseconds; 0: none.
func (l *link) heardFrom(owner string) (last int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.intakes {
		if in.node == owner && !in.shield {
			if at := in.heard.Load(); at > in.began.UnixNano() { // the beginning is no sign of life
				last = max(last, at)
			}
		}
	}
	return last
}
