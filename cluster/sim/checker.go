package sim

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/state"
)

// checker knows what really has happened, and finds what must not:
//
//   - the log: no two commands at one index, no entry that somebody was told of is
//     lost, one leader a term;
//   - the copies: the same result of each command, and the same bytes at the same index;
//   - epochs: each is given once, to one stream and one process, and those of a stream
//     only rise;
//   - ownership: it goes from one node to another only if that is the standby in sync,
//     or through being an orphan; the stream's time 0 is kept;
//   - nobody claims an orphan whose standby is in sync and in no trouble;
//   - what readers were given is there after the standby has taken over;
//   - no process goes on with a stream of which an earlier one of its node was the
//     standby, and the leader gives none to a node that has told it that it starts;
//   - balance moves no stream that has had another owner within ten minutes, so that
//     none goes to and fro;
//   - no node loses its streams that had no trouble for longer than a lease lasts.
type checker struct {
	w       *world
	log     []fact
	leaders map[uint64]*node // by term
	epochs  map[uint64]grant
	streams []history
	top     uint64 // the highest epoch
	relief  map[relief]bool
}

// relief is a command for the sake of loads, by what it compares with.
type relief struct {
	key   state.Key
	epoch uint64
}

// fact is a committed entry with what it has led to.
type fact struct {
	entry  entry
	result string
	state  []byte // of some indexes
}

// grant is an epoch that was given.
type grant struct {
	stream *stream
	owner  *node
	life   int // of the process that acted on it; 0: none yet
}

// history is what has become of a stream.
type history struct {
	now    state.Placement
	placed bool
	top    uint64            // highest epoch
	from   uint64            // epoch that the standby took over from, in now.Epoch
	moved  time.Duration     // when the placement last got another owner
	rests  time.Duration     // since when it has had another owner than the first; 0: never
	eased  time.Duration     // when it was last moved, or given a standby, for the sake of loads
	shown  map[uint64]uint64 // by epoch: what readers were given
	lax    map[uint64]bool   // by epoch: they were given more than the standby had, which is told
	synced map[uint64]int    // by epoch: life of the standby that was said to be in sync
}

func newChecker(w *world) *checker {
	c := &checker{w: w, leaders: map[uint64]*node{}, epochs: map[uint64]grant{}, relief: map[relief]bool{}}
	for range w.streams {
		c.streams = append(c.streams, history{
			shown: map[uint64]uint64{}, lax: map[uint64]bool{}, synced: map[uint64]int{},
		})
	}
	return c
}

// leads is a voter that was elected.
func (c *checker) leads(n *node, term uint64) {
	if other := c.leaders[term]; other != nil {
		c.w.fail("%s and %s lead in term %d", other, n, term)
	}
	c.leaders[term] = n
}

// compareEvery is the number of indexes between two at which whole states are
// compared; those without a vote every fourth time.
const compareEvery = 16

// committed is an entry that a copy has applied.
func (c *checker) committed(n *node, index uint64, e entry, result any) {
	if index == uint64(len(c.log))+1 {
		c.log = append(c.log, c.learn(n, index, e, result))
	}
	if index > uint64(len(c.log)) {
		c.w.fail("%s applies index %d, and %d is the last that was committed", n, index, len(c.log))
		return
	}
	known := &c.log[index-1]
	if known.entry.term != e.term || !bytes.Equal(known.entry.command, e.command) {
		c.w.fail("%s has another command at index %d: term %d %s, committed was term %d %s",
			n, index, e.term, e.command, known.entry.term, known.entry.command)
		return
	}
	if e.command == nil {
		return
	}
	if got := fmt.Sprint(result); got != known.result {
		c.w.fail("%s comes to another result at index %d: %s, not %s", n, index, got, known.result)
	}
	if index%compareEvery == 0 && (n.voter || index%(4*compareEvery) == 0) {
		c.compare(n, index, known)
	}
}

func (c *checker) compare(n *node, index uint64, known *fact) {
	b, err := n.view.Snapshot()
	c.w.must(err)
	if known.state == nil {
		known.state = b
	}
	if !bytes.Equal(known.state, b) {
		c.w.fail("the copy of %s differs at index %d", n, index)
	}
}

// restored is a copy that has come as a snapshot.
func (c *checker) restored(n *node) {
	if at := n.view.Index(); at > uint64(len(c.log)) {
		c.w.fail("%s has a snapshot of index %d, and %d is the last that was committed", n, at, len(c.log))
	}
}

// acknowledged is a command that somebody was told to be in force.
func (c *checker) acknowledged(index uint64, command []byte) {
	if index > uint64(len(c.log)) || !bytes.Equal(c.log[index-1].entry.command, command) {
		c.w.fail("the command at index %d was acknowledged and is lost: %s", index, command)
	}
}

// learn takes an entry that nobody had applied before. The rules are checked on
// what this copy has come to; the others must come to the same.
func (c *checker) learn(n *node, index uint64, e entry, result any) fact {
	if e.command == nil {
		return fact{entry: e}
	}
	command, err := state.Decode(e.command)
	c.w.must(err)
	c.w.commands++
	if epoch := n.view.Epoch(); epoch < c.top {
		c.w.fail("the highest epoch falls from %d to %d at index %d", c.top, epoch, index)
	} else {
		c.top = epoch
	}
	c.trouble(n, command)
	told := false
	for i := range c.streams {
		p, placed := n.view.Placement(c.w.streams[i].key)
		if h := &c.streams[i]; placed != h.placed || p != h.now {
			if !told {
				c.w.traceCommand(index, command)
			}
			told = true
			c.step(c.w.streams[i], h, p, placed, command)
			h.now, h.placed = p, placed
		}
	}
	return fact{entry: e, result: fmt.Sprint(result)}
}

// relieves notes what the leader is about to propose for the sake of loads.
func (c *checker) relieves(key state.Key, epoch uint64) { c.relief[relief{key, epoch}] = true }

// eases checks what comes into force for the sake of loads.
func (c *checker) eases(st *stream, h *history, by state.Command) {
	switch by := by.(type) {
	case state.Move:
		if !c.relief[relief{by.Key, by.Epoch}] {
			return
		}
		h.eased = c.w.now
		c.w.relieved++
		if h.rests > 0 && c.w.now-h.rests < duties.MoveRest {
			c.w.fail("%s: moved for the sake of loads %s after it had got another owner", st.key, c.w.now-h.rests)
		}
	case state.SetStandby:
		if c.relief[relief{by.Key, by.Epoch}] && !by.InSync && by.To != "" {
			h.eased = c.w.now
		}
	}
}

// step is a change of one placement.
func (c *checker) step(st *stream, h *history, p state.Placement, placed bool, by state.Command) {
	if !placed {
		h.rests = 0
		return
	}
	c.eases(st, h, by)
	if p.Epoch < h.top {
		c.w.fail("%s: the epoch falls from %d to %d by %T", st.key, h.top, p.Epoch, by)
	}
	if h.placed && p.T0MS != h.now.T0MS {
		c.w.fail("%s: time 0 goes from %d to %d by %T", st.key, h.now.T0MS, p.T0MS, by)
	}
	if p.Epoch > h.top {
		c.given(st, h, p, by)
	} else if !p.Orphan() && p.Owner != c.epochs[p.Epoch].owner.id {
		c.w.fail("%s: epoch %d was of %s and is of %s by %T", st.key, p.Epoch, c.epochs[p.Epoch].owner, p.Owner, by)
	}
}

// given is a new epoch of a stream.
func (c *checker) given(st *stream, h *history, p state.Placement, by state.Command) {
	if g, known := c.epochs[p.Epoch]; known {
		c.w.fail("epoch %d of %s was given to %s before", p.Epoch, st.key, g.stream.key)
	}
	owner := c.w.byID[p.Owner]
	c.epochs[p.Epoch] = grant{stream: st, owner: owner}
	_, claimed := by.(state.Claim)
	inSync := h.placed && h.now.InSync && h.now.Standby == p.Owner
	switch {
	case claimed:
		c.claimed(st, h, p)
	case !inSync:
		c.w.fail("%s: %T gives it to %s, the standby is %q (in sync: %t)", st.key, by, p.Owner, h.now.Standby, h.now.InSync)
	}
	h.from = 0
	if !claimed {
		h.from = h.now.Epoch
		c.w.takeovers++
	}
	if h.top, h.moved = p.Epoch, c.w.now; h.placed && h.now.Owner != p.Owner {
		h.rests = c.w.now
	}
}

// claimed is a stream that was given to who claimed it.
func (c *checker) claimed(st *stream, h *history, p state.Placement) {
	switch {
	case !h.placed || h.now.Owner == p.Owner:
	case !h.now.Orphan():
		c.w.fail("%s: claimed by %s while %s owns it in epoch %d", st.key, p.Owner, h.now.Owner, h.now.Epoch)
	case h.now.InSync && h.now.Standby != p.Owner && c.fit(h.now.Standby):
		c.w.fail("%s: claimed by %s while %s has all of it", st.key, p.Owner, h.now.Standby)
	}
}

// fit reports whether nobody may doubt that a node can go on with a stream.
func (c *checker) fit(id string) bool {
	n := c.w.byID[id]
	return n.up && !c.drains(n) && c.w.now-max(n.troubled, c.w.troubled) > leaseTerm+pushLimit
}

// trouble checks that a node which loses its streams was in trouble.
func (c *checker) trouble(n *node, by state.Command) {
	var id string
	switch by := by.(type) {
	case state.FailOver:
		id = by.Node
	case state.ExpireNode:
		id = by.Node
	case state.RemoveNode:
		id = by.Node
	default:
		return
	}
	if dead := c.w.byID[id]; dead != nil && dead.up && c.w.now-max(dead.troubled, c.w.troubled) > leaseTerm+pushLimit {
		c.w.fail("%s loses its streams by %T of %s without having been in any trouble for %s",
			id, by, n, c.w.now-max(dead.troubled, c.w.troubled))
	}
}

// owns is a process that acts as the owner in an epoch.
func (c *checker) owns(n *node, st *stream, epoch uint64) {
	g := c.epochs[epoch]
	if g.stream != st || g.owner != n || g.life != 0 && g.life != n.life {
		c.w.fail("%s publishes %s in epoch %d, which was given to %v (process %d)", n, st.key, epoch, g.owner, g.life)
		return
	}
	g.life = n.life
	c.epochs[epoch] = g
}

// visible is a record that readers were given.
func (c *checker) visible(s *session) {
	h := &c.streams[s.stream.index]
	h.shown[s.epoch] = max(h.shown[s.epoch], s.visible)
}

// degrades is an owner that goes on without its standby, and says so.
func (c *checker) degrades(s *session) { c.streams[s.stream.index].lax[s.epoch] = true }

// inSync is an owner that is about to say that its standby has everything.
func (c *checker) inSync(s *session) {
	h := &c.streams[s.stream.index]
	h.synced[s.epoch], h.lax[s.epoch] = s.life, false
}

// adopted is a standby that goes on with a stream, from what it holds.
func (c *checker) adopted(n *node, st *stream, epoch, records uint64) {
	h := &c.streams[st.index]
	if h.from == 0 || h.top != epoch {
		return // by a claim, or it has gone on meanwhile
	}
	switch {
	case h.synced[h.from] != n.life:
		c.w.fail("%s takes %s over in epoch %d as process %d, and process %d was in sync",
			n, st.key, epoch, n.life, h.synced[h.from])
	case h.lax[h.from]:
		c.w.lax++
	case records < h.shown[h.from]:
		c.w.fail("%s takes %s over in epoch %d with %d records, readers of epoch %d had %d",
			n, st.key, epoch, records, h.from, h.shown[h.from])
	}
}

// decides checks to whom a leader is about to give streams.
func (c *checker) decides(l *leadership, by state.Command) {
	for _, p := range l.n.view.Placements() {
		heir := false
		switch by := by.(type) {
		case state.FailOver:
			lost := p.Owner == by.Node || p.Orphan() && p.LostBy == by.Node
			heir = lost && p.Epoch <= by.MaxEpoch && p.InSync && !slices.Contains(by.Except, p.Standby)
		case state.Move:
			heir = state.Key(p.Key) == by.Key && p.Epoch == by.Epoch && p.Standby == by.To
		}
		if heir && l.starting[p.Standby] {
			c.w.fail("%s gives %s to %s, which has told it that it starts", l.n, p.Key, p.Standby)
		}
	}
}

// end compares all copies when the run is over.
func (c *checker) end() {
	var first *node
	var want []byte
	for _, n := range c.w.nodes {
		if !n.up || n.view.Index() != c.lastIndex() {
			continue
		}
		b, err := n.view.Snapshot()
		c.w.must(err)
		if first == nil {
			first, want = n, b
		}
		if !bytes.Equal(b, want) {
			c.w.fail("the copies of %s and %s differ at the end, at index %d", first, n, n.view.Index())
		}
	}
}

// lastIndex is that of the last command.
func (c *checker) lastIndex() uint64 {
	for i := len(c.log); i > 0; i-- {
		if c.log[i-1].entry.command != nil {
			return uint64(i)
		}
	}
	return 0
}

// inSyncOf are the streams of an owner whose standby is in sync, by index.
func (c *checker) inSyncOf(owner *node) (list []int) {
	for i := range c.streams {
		if h := &c.streams[i]; h.placed && h.now.InSync && h.now.Owner == owner.id {
			list = append(list, i)
		}
	}
	return list
}

// drains reports whether a node is being drained, as far as any copy knows.
func (c *checker) drains(n *node) bool {
	for _, v := range c.w.voters {
		if v.up && v.view.Draining(n.id) {
			return true
		}
	}
	return false
}
