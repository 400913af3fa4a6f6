package sim

import (
	"time"

	"tmms/cluster/state"
)

// Times of sessions.
const (
	mediaEvery  = 250 * time.Millisecond // marks, and acknowledgements; every second one has a record
	lookPause   = 50 * time.Millisecond
	ackLimit    = 500 * time.Millisecond  // a record waits so long for the standby
	silentAfter = 1500 * time.Millisecond // a subscription that says nothing is over
	pushLimit   = 3 * time.Second         // an ingest relay that reaches nobody closes its publisher
	grace       = 20 * time.Second        // the default of an app
)

// session is a stream on the node that owns it, or believes to.
type session struct {
	n       *node
	stream  *stream
	epoch   uint64
	seen    bool          // the placement was seen
	fed     time.Duration // when the publisher's media last came
	beat    int
	records uint64
	visible uint64 // up to which record readers were given
	resumes time.Duration

	standby  *node // as the placement says; nil: none
	life     int   // of the standby's process that subscribed; 0: none
	heard    time.Duration
	acked    uint64
	waits    time.Duration // since when a record is not acknowledged
	gated    bool          // readers get what the standby has acknowledged
	degraded bool          // they get more, since the standby is to be taken out
	proposed bool          // a change of the standby is on its way
	moves    time.Duration // the next try to move the stream away
	viewers  []viewer
}

// viewer is a node that reads the stream.
type viewer struct {
	n     *node
	life  int
	until time.Duration
}

// seen is what viewers of a node were given.
type seen struct{ epoch, record uint64 }

// holding is a stream on the node that is its standby.
type holding struct {
	epoch   uint64
	records uint64
	heard   time.Duration
}

// look goes through the placements after a change.
func (n *node) look() {
	n.changed = false
	for _, st := range n.w.streams {
		p, placed := n.view.Placement(st.key)
		if s := n.sessions[st.index]; s != nil {
			s.fence(p, placed)
		}
		n.lookAt(st, p, placed)
	}
}

func (n *node) lookAt(st *stream, p state.Placement, placed bool) {
	switch {
	case !n.origin || !n.joined:
	case placed && p.Owner == n.id:
		if n.given(st, p) {
			n.begin(st, p.Epoch, true)
		}
	case placed && p.Standby == n.id && !p.Orphan():
		if !n.holds(st, p) {
			n.copies[st.index] = &holding{epoch: p.Epoch}
		}
	case placed && p.Orphan() && n.holds(st, p): // it may be given to this node yet
	default:
		n.copies[st.index] = nil
	}
}

// given reports whether a placement of this node, which has joined, is one that it has
// not claimed: those of an earlier process it has given up.
func (n *node) given(st *stream, p state.Placement) bool {
	free := n.sessions[st.index] == nil && !n.claiming[st.index]
	return free && p.Epoch > n.ended[st.index]
}

func (n *node) holds(st *stream, p state.Placement) bool {
	h := n.copies[st.index]
	return h != nil && h.epoch == p.Epoch
}

// begin makes the session of a stream that this node was given: by its claim, or
// as the standby.
func (n *node) begin(st *stream, epoch uint64, adopted bool) {
	s := &session{n: n, stream: st, epoch: epoch, fed: n.w.now}
	if h := n.copies[st.index]; h != nil {
		s.records, s.visible = h.records, h.records
		n.copies[st.index] = nil
	}
	if adopted {
		n.w.check.adopted(n, st, epoch, s.records)
	}
	n.w.check.owns(n, st, epoch)
	n.sessions[st.index] = s
	n.dirty()
}

func (s *session) end() {
	s.n.sessions[s.stream.index] = nil
	s.n.ended[s.stream.index] = s.epoch
}

// fence holds the session to its placement.
func (s *session) fence(p state.Placement, placed bool) {
	if placed && p.Epoch < s.epoch || !placed && !s.seen {
		return // the copy is behind
	}
	if !placed || p.Epoch > s.epoch {
		s.end()
		s.n.closeIngest(s.stream)
		return
	}
	s.seen = true
	if p.Orphan() && s.n.w.now >= s.resumes {
		s.resumes = s.n.w.now + time.Second
		s.n.propose(state.Resume{Key: state.Key(s.stream.key), Node: s.n.id, Epoch: s.epoch}, nil)
		s.n.after(time.Second, s.n.dirty)
	}
	if standby := s.n.w.byID[p.Standby]; standby != s.standby {
		s.standby, s.life, s.acked, s.gated, s.degraded = standby, 0, 0, false, false
	}
}

// tick makes a record now and then, and says to everybody who reads that the
// session lives.
func (s *session) tick() {
	w := s.n.w
	fed := w.now-s.fed < silentAfter
	switch {
	case fed:
		if s.beat++; s.beat%2 == 0 {
			if s.acked == s.records {
				s.waits = w.now
			}
			s.records++
		}
	case w.now-s.fed > grace:
		s.end()
		s.n.propose(state.Release{Key: state.Key(s.stream.key), Epoch: s.epoch}, nil)
		return
	}
	late := s.acked < s.records && w.now-s.waits > ackLimit
	if s.gated && late || s.life != 0 && w.now-s.heard > silentAfter {
		s.dropStandby()
	}
	s.show()
	s.tell()
	if s.n.view.Draining(s.n.id) && w.now >= s.moves {
		s.moveAway()
	}
}

// show lets readers see what they may.
func (s *session) show() {
	upTo := s.records
	if s.gated {
		upTo = min(s.acked, s.records)
	}
	if upTo > s.visible {
		s.visible = upTo
		s.n.w.check.visible(s)
	}
}

func (s *session) tell() {
	w, n := s.n.w, s.n
	if s.life != 0 {
		to, upTo := s.standby, s.records
		w.send(n, to, func() { to.keep(s, upTo) })
	}
	open := s.viewers[:0]
	for _, v := range s.viewers {
		if v.until < w.now || v.n.life != v.life {
			continue
		}
		open = append(open, v)
		st, epoch, upTo := s.stream, s.epoch, s.visible
		w.send(n, v.n, func() { v.n.sees(n, st, seen{epoch, upTo}) })
	}
	s.viewers = open
}

// dropStandby goes on without a standby that does not keep up.
func (s *session) dropStandby() {
	s.life, s.gated = 0, false
	if !s.degraded {
		s.degraded = true
		s.n.w.check.degrades(s)
	}
	if s.standby == nil || s.proposed {
		return
	}
	s.proposed = true
	was := s.standby
	s.n.propose(state.SetStandby{Key: state.Key(s.stream.key), Epoch: s.epoch, From: was.id},
		func(_ any, ok bool) {
			s.proposed = false
			switch {
			case s.degraded && (s.standby != was || !ok):
				s.dropStandby()
			case s.standby == was && s.life == 0: // the copy may show only the next standby, which may be the same node
				s.standby, s.degraded = nil, false
				s.n.dirty()
			}
		})
}

// subscribes is a standby that begins to follow.
func (s *session) subscribes(from *node, epoch uint64) {
	if s.standby != from || s.epoch != epoch || s.degraded || s.life == from.life {
		return
	}
	if s.life != 0 {
		s.dropStandby() // another process has taken its place, without what it held
		return
	}
	s.life, s.heard, s.acked = from.life, s.n.w.now, 0
	s.tell()
}

// acks is a standby that has got everything up to a record.
func (s *session) acks(from *node, upTo uint64) {
	if s.standby != from || s.life != from.life {
		return
	}
	s.heard = s.n.w.now
	if upTo > s.acked {
		s.acked, s.waits = upTo, s.n.w.now
	}
	s.show()
	if s.gated || s.proposed || s.acked < s.records {
		return
	}
	s.gated = true
	s.n.w.check.inSync(s)
	s.sayInSync()
}

// sayInSync tells the cluster that the standby has everything, until it has been told
// or that is not so any more.
func (s *session) sayInSync() {
	s.proposed = true
	was := s.standby
	s.n.propose(state.SetStandby{
		Key: state.Key(s.stream.key), Epoch: s.epoch, From: was.id, To: was.id, InSync: true,
	}, func(result any, ok bool) {
		s.proposed = false
		_, refused := result.(error)
		switch {
		case s.degraded:
			s.dropStandby()
		case s.standby != was || !s.gated:
		case !ok: // it may have come into force or not: readers wait for the standby meanwhile
			s.sayInSync()
		case refused:
			s.gated = false
		}
	})
}

// moveAway gives the stream of a node that is drained to the standby.
func (s *session) moveAway() {
	p, placed := s.n.view.Placement(s.stream.key)
	if !placed || p.Epoch != s.epoch || !p.InSync || !s.gated || p.Owner != s.n.id {
		return
	}
	s.moves = s.n.w.now + time.Second
	s.n.propose(state.Move{
		Key: state.Key(s.stream.key), Epoch: s.epoch, To: p.Standby, AtUnixMS: s.n.wallMS(),
	}, nil)
}

// keep takes what the owner has sent to its standby.
func (n *node) keep(from *session, upTo uint64) {
	n.media[from.n.index] = n.w.now
	h := n.copies[from.stream.index]
	if h == nil || h.epoch != from.epoch {
		return
	}
	h.records, h.heard = max(h.records, upTo), n.w.now
	held := h.records
	n.w.send(n, from.n, func() { from.acks(n, held) })
}

// sees is an edge that got media.
func (n *node) sees(from *node, st *stream, s seen) {
	n.media[from.index] = n.w.now
	old := n.got[st.index]
	if s.epoch < old.epoch {
		return // fenced
	}
	if s.epoch > old.epoch || s.record > old.record {
		n.got[st.index] = s
	}
}

// tick is the node's part in all streams.
func (n *node) tick() {
	n.enter()
	for _, s := range n.sessions {
		if s != nil {
			s.tick()
		}
	}
	for i, h := range n.copies {
		if h != nil && n.w.now-h.heard > time.Second {
			n.subscribe(n.w.streams[i], func(s *session) { s.subscribes(n, h.epoch) })
		}
	}
	for _, i := range n.ingests {
		i.tick()
	}
	n.ingests = removeDone(n.ingests)
	for _, i := range n.watching {
		life := n.life
		n.subscribe(n.w.streams[i], func(s *session) { s.reads(n, life) })
	}
}

// subscribe asks the owner of a stream for it.
func (n *node) subscribe(st *stream, to func(s *session)) {
	p, placed := n.view.Placement(st.key)
	owner := n.w.byID[p.Owner]
	if !placed || owner == nil || owner == n {
		return
	}
	n.w.send(n, owner, func() {
		if s := owner.sessions[st.index]; s != nil {
			to(s)
		}
	})
}

func (s *session) reads(from *node, life int) {
	until := s.n.w.now + 2*silentAfter
	for i := range s.viewers {
		if s.viewers[i].n == from {
			s.viewers[i].life, s.viewers[i].until = life, until
			return
		}
	}
	s.viewers = append(s.viewers, viewer{from, life, until})
}
