package sim

import (
	"slices"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// stream is a name that somebody publishes to, and who does.
type stream struct {
	w     *world
	index int
	key   media.StreamKey
	live  bool // the publisher wants to publish

	weight int   // load that it is to its owner, of 255
	home   *node // where it is published; nil: anywhere

	at    *node // where it is connected; nil: nowhere
	life  int
	conn  int           // counts connections
	ok    time.Duration // when its media last came to an owner
	retry time.Duration
}

// Times of a publisher.
const (
	encoderLooks    = 250 * time.Millisecond
	encoderPatience = 6 * time.Second // without any progress
	encoderRetry    = 2 * time.Second
)

// tick is the encoder's.
func (st *stream) tick() {
	w := st.w
	switch {
	case !st.live:
		st.at = nil
	case st.at == nil && w.now >= st.retry:
		st.connect()
	case st.at != nil && (!st.at.up || st.at.life != st.life || w.now-st.ok > encoderPatience):
		st.disconnect()
	}
}

func (st *stream) disconnect() {
	st.at, st.retry = nil, st.w.now+encoderRetry
}

// connect takes any origin that answers.
func (st *stream) connect() {
	w := st.w
	n := w.origins[w.rng.IntN(len(w.origins))]
	if st.home != nil {
		n = st.home
	}
	if !n.up || n.stands || !n.joined {
		st.retry = w.now + w.within(encoderRetry/4)
		return
	}
	st.at, st.life, st.ok = n, n.life, w.now
	st.conn++
	n.ingests = append(n.ingests, &ingest{n: n, stream: st, conn: st.conn, reached: w.now})
}

// ingest is a publisher's connection on a node.
type ingest struct {
	n       *node
	stream  *stream
	conn    int
	reached time.Duration // when the owner was last reached
	done    bool
}

func removeDone(list []*ingest) []*ingest {
	return slices.DeleteFunc(list, func(i *ingest) bool { return i.done })
}

// closeIngest closes the publisher of a stream, if it is here.
func (n *node) closeIngest(st *stream) {
	for _, i := range n.ingests {
		if i.stream == st {
			i.close()
		}
	}
}

func (i *ingest) close() {
	if i.here() {
		i.stream.disconnect()
	}
	i.done = true
}

func (i *ingest) here() bool { return i.stream.at == i.n && i.stream.conn == i.conn }

// tick takes the publisher's media to the owner: this node, another one, or nobody
// yet.
func (i *ingest) tick() {
	n, st := i.n, i.stream
	if i.done = i.done || !i.here(); i.done {
		return
	}
	if s := n.sessions[st.index]; s != nil {
		s.fed, st.ok, i.reached = n.w.now, n.w.now, n.w.now
		return
	}
	p, placed := n.view.Placement(st.key)
	switch {
	case placed && !p.Orphan() && p.Owner != n.id:
		i.push(n.w.byID[p.Owner])
	case n.view.Draining(n.id):
		i.close()
	case !n.claiming[st.index] && n.w.now-n.renewed <= leaseTerm:
		n.claim(st)
	}
	if n.w.now-i.reached > pushLimit && !n.claiming[st.index] {
		i.close()
	}
}

func (i *ingest) push(owner *node) {
	n, st := i.n, i.stream
	n.w.send(n, owner, func() {
		s := owner.sessions[st.index]
		if s == nil {
			return
		}
		s.fed = n.w.now
		n.w.send(owner, n, func() {
			if i.reached = n.w.now; i.here() {
				st.ok = n.w.now
			}
		})
	})
}

// claim asks for the stream.
func (n *node) claim(st *stream) {
	n.claiming[st.index] = true
	n.propose(state.Claim{Key: state.Key(st.key), Node: n.id, AtUnixMS: n.wallMS()}, func(result any, ok bool) {
		n.claiming[st.index] = false
		p, placed := result.(state.Placement)
		current := n.sessions[st.index]
		if ok && placed && current == nil && p.Epoch > n.ended[st.index] {
			n.begin(st, p.Epoch, false)
			n.renewed = n.w.now
		}
		n.dirty()
	})
}
