package sim

import "time"

// Times of the replicated log, as package consensus has them.
const (
	raftTimeout   = 600 * time.Millisecond
	raftHeartbeat = raftTimeout / 8
	raftLease     = raftTimeout / 2 // of a leader that hears no majority
)

// entry is a command in the log; without one it begins a term.
type entry struct {
	term    uint64
	command []byte
}

type role uint8

const (
	follower role = iota
	candidate
	leader
)

// log is a voter's part in the replicated log.
type log struct {
	n *node

	// On disk.
	term    uint64
	vote    *node
	entries []entry // entries[i] has index i+1

	// In memory.
	role     role
	leads    *node // as far as this voter knows
	commit   uint64
	applied  uint64
	deadline time.Duration // of an election
	votes    map[int]bool
	asking   bool // for pre-votes
	next     []uint64
	match    []uint64
	contact  []time.Duration
	settled  uint64 // index that begins the term; from there on this leader leads
	began    bool
	waiting  []waiter
}

// waiter is told what became of the entry at an index.
type waiter struct {
	index, term uint64
	tell        func(result any, ok bool)
}

func (l *log) last() (index, term uint64) {
	index = uint64(len(l.entries))
	return index, l.termAt(index)
}

func (l *log) termAt(index uint64) uint64 {
	if index == 0 || index > uint64(len(l.entries)) {
		return 0
	}
	return l.entries[index-1].term
}

// restart begins a process's life with what is on disk.
func (l *log) restart() {
	l.role, l.leads, l.asking, l.began, l.votes, l.waiting = follower, nil, false, false, nil, nil
	l.commit = l.n.disk.index
	l.applied = l.commit
	l.contact = make([]time.Duration, len(l.n.w.nodes))
	l.await()
	l.n.every(raftHeartbeat, l.tick)
}

// await begins to wait for a leader.
func (l *log) await() {
	l.deadline = l.n.w.now + raftTimeout + time.Duration(l.n.w.rng.Int64N(int64(raftTimeout)))
}

func (l *log) tick() {
	now := l.n.w.now
	switch {
	case l.role == leader && !l.majority(func(v *node) bool { return now-l.contact[v.index] <= raftLease }):
		l.stepDown(l.term, nil)
	case l.role == leader:
		for _, v := range l.n.w.voters {
			l.replicate(v)
		}
	case now >= l.deadline:
		l.leads = nil
		l.campaign(true)
	}
}

// majority counts this voter in.
func (l *log) majority(has func(v *node) bool) bool {
	count := 0
	for _, v := range l.n.w.voters {
		if v == l.n || has(v) {
			count++
		}
	}
	return count > len(l.n.w.voters)/2
}

func (l *log) stepDown(term uint64, leads *node) {
	if term > l.term {
		l.term, l.vote = term, nil
	}
	if l.role == leader {
		l.n.endLead()
		for _, w := range l.waiting {
			w.tell(nil, false)
		}
		l.waiting = nil
	}
	l.role, l.leads, l.asking, l.began = follower, leads, false, false
	l.await()
}

// campaign asks the others for their votes, first whether they would give them.
func (l *log) campaign(pre bool) {
	l.await()
	l.asking, l.votes = pre, map[int]bool{}
	term := l.term + 1
	if !pre {
		l.role, l.term, l.vote = candidate, term, l.n
	}
	index, lastTerm := l.last()
	for _, v := range l.n.w.voters {
		if v == l.n {
			continue
		}
		l.n.w.send(l.n, v, func() {
			granted, theirs := v.log.grant(l.n, term, index, lastTerm, pre)
			l.n.w.send(v, l.n, func() { l.voted(v, term, theirs, granted, pre) })
		})
	}
	l.tally(pre)
}

func (l *log) grant(to *node, term, index, lastTerm uint64, pre bool) (granted bool, current uint64) {
	heard := l.leads != nil && l.leads != to && (l.role == leader || l.n.w.now-l.contact[l.leads.index] < raftTimeout)
	if heard || term < l.term {
		return false, l.term
	}
	mine, mineTerm := l.last()
	fresh := lastTerm > mineTerm || lastTerm == mineTerm && index >= mine
	if pre {
		return fresh, l.term
	}
	if term > l.term {
		l.stepDown(term, nil)
	}
	if !fresh || l.vote != nil && l.vote != to {
		return false, l.term
	}
	l.vote = to
	l.await()
	return true, l.term
}

func (l *log) voted(by *node, term, theirs uint64, granted, pre bool) {
	if theirs > l.term {
		l.stepDown(theirs, nil)
		return
	}
	current := pre && l.asking && term == l.term+1 || !pre && l.role == candidate && term == l.term
	if !current || !granted {
		return
	}
	l.votes[by.index] = true
	l.tally(pre)
}

func (l *log) tally(pre bool) {
	if !l.majority(func(v *node) bool { return l.votes[v.index] }) {
		return
	}
	if pre {
		l.campaign(false)
		return
	}
	w := l.n.w
	l.role, l.leads, l.asking = leader, l.n, false
	l.next, l.match = make([]uint64, len(w.nodes)), make([]uint64, len(w.nodes))
	for _, v := range w.voters {
		l.next[v.index], l.contact[v.index] = uint64(len(l.entries))+1, w.now
	}
	l.settled, l.began = uint64(len(l.entries))+1, false
	w.check.leads(l.n, l.term)
	w.trace("%s leads in term %d", l.n, l.term)
	l.append(nil, func(any, bool) {})
}

// append puts a command into the leader's log.
func (l *log) append(command []byte, tell func(result any, ok bool)) {
	l.entries = append(l.entries, entry{term: l.term, command: command})
	index := uint64(len(l.entries))
	l.waiting = append(l.waiting, waiter{index, l.term, tell})
	for _, v := range l.n.w.voters {
		l.replicate(v)
	}
	l.advance()
}

func (l *log) replicate(to *node) {
	if to == l.n {
		return
	}
	term, prev, commit := l.term, l.next[to.index]-1, l.commit
	prevTerm, more := l.termAt(prev), l.entries[min(prev, uint64(len(l.entries))):]
	l.n.w.send(l.n, to, func() {
		match, theirs, ok := to.log.take(l.n, term, prev, prevTerm, more, commit)
		l.n.w.send(to, l.n, func() { l.took(to, term, theirs, match, ok) })
	})
}

// take is a follower's part of a replication; match is up to where its log is the
// leader's, or where to try next.
func (l *log) take(
	from *node, term, prev, prevTerm uint64, more []entry, commit uint64,
) (match, current uint64, ok bool) {
	if term < l.term {
		return 0, l.term, false
	}
	if term > l.term || l.role != follower {
		l.stepDown(term, from)
	}
	l.leads, l.asking = from, false
	l.contact[from.index] = l.n.w.now
	l.await()
	if mine := uint64(len(l.entries)); prev > mine || l.termAt(prev) != prevTerm {
		return min(mine, prev-1), l.term, false
	}
	for i, e := range more {
		index := prev + uint64(i) + 1
		if index <= uint64(len(l.entries)) && l.termAt(index) == e.term {
			continue
		}
		l.entries = append(l.entries[:index-1:index-1], more[i:]...)
		break
	}
	match = prev + uint64(len(more))
	l.commitTo(min(commit, match))
	return match, l.term, true
}

func (l *log) took(from *node, term, theirs, match uint64, ok bool) {
	if theirs > l.term {
		l.stepDown(theirs, nil)
		return
	}
	if l.role != leader || term != l.term {
		return
	}
	l.contact[from.index] = l.n.w.now
	if !ok {
		l.next[from.index] = min(l.next[from.index], match+1)
		l.next[from.index] = max(l.next[from.index], l.match[from.index]+1)
		l.replicate(from)
		return
	}
	l.match[from.index] = max(l.match[from.index], match)
	l.next[from.index] = l.match[from.index] + 1
	l.advance()
}

// advance commits what a majority has, if it is of this leader's own term.
func (l *log) advance() {
	for index := uint64(len(l.entries)); index > l.commit && l.termAt(index) == l.term; index-- {
		have := 1
		for _, v := range l.n.w.voters {
			if v != l.n && l.match[v.index] >= index {
				have++
			}
		}
		if have >= l.n.w.rules.Majority(len(l.n.w.voters)) {
			l.commitTo(index)
			return
		}
	}
}

func (l *log) commitTo(index uint64) {
	l.commit = max(l.commit, index)
	if l.applied < l.commit {
		defer l.n.push()
	}
	for l.applied < l.commit {
		l.applied++
		e := l.entries[l.applied-1]
		result := l.n.apply(l.applied, e)
		l.answer(e, result)
	}
	if l.role == leader && !l.began && l.applied >= l.settled {
		l.began = true
		l.n.beginLead()
	}
}

func (l *log) answer(e entry, result any) {
	for len(l.waiting) > 0 && l.waiting[0].index <= l.applied {
		w := l.waiting[0]
		l.waiting = l.waiting[1:]
		w.tell(result, w.index == l.applied && w.term == e.term)
	}
}
