package sim

import (
	"time"

	"tmms/cluster/state"
)

// Times of a command, as packages control and member have them.
const (
	commandTimeout = 3 * time.Second
	proposeFor     = 15 * time.Second
	retryFirst     = 50 * time.Millisecond
	retryMost      = 500 * time.Millisecond
)

// proposal is a command that a node wants to come into force.
type proposal struct {
	n       *node
	command state.Command
	bytes   []byte
	until   time.Duration
	pause   time.Duration
	index   uint64 // of what was acknowledged; 0: nothing was
	done    func(result any, ok bool)
}

// outcome is what a leader answers.
type outcome struct {
	result  any
	index   uint64
	command []byte // as it is in the log
	ok      bool
	hint    *node
}

// propose asks the leader for a command until one has taken it or the time is
// over; done may be nil.
func (n *node) propose(c state.Command, done func(result any, ok bool)) {
	b, err := state.Encode(c)
	n.w.must(err)
	if done == nil {
		done = func(any, bool) {}
	}
	p := &proposal{n: n, command: c, bytes: b, until: n.w.now + proposeFor, pause: retryFirst, done: done}
	p.attempt()
}

// proposeAndSee is propose, and done is called once the node's copy shows the command.
func (n *node) proposeAndSee(c state.Command, done func(ok bool)) {
	b, err := state.Encode(c)
	n.w.must(err)
	p := &proposal{n: n, command: c, bytes: b, until: n.w.now + proposeFor, pause: retryFirst}
	p.done = func(_ any, ok bool) { n.await(p.index, func() { done(ok) }) }
	p.attempt()
}

// await calls done once the node's copy has come to an index.
func (n *node) await(index uint64, done func()) {
	if n.view.Index() >= index {
		done()
		return
	}
	n.after(lookPause, func() { n.await(index, done) })
}

func (p *proposal) attempt() {
	n := p.n
	to := n.leader()
	switch to {
	case nil:
		p.again(nil)
	case n:
		n.takeProposal(p.bytes, p.answered)
	default:
		ask(n, to, commandTimeout, func(answer func(outcome)) {
			to.takeProposal(p.bytes, answer)
		}, func(o outcome, came bool) {
			if !came {
				o = outcome{}
			}
			p.answered(o)
		})
	}
}

func (p *proposal) answered(o outcome) {
	if o.ok {
		p.n.w.check.acknowledged(o.index, o.command)
		p.index = o.index
		p.done(o.result, true)
		return
	}
	p.again(o.hint)
}

// again tries the next voter, or whom the last one said to lead.
func (p *proposal) again(hint *node) {
	n := p.n
	if n.w.now+p.pause > p.until {
		p.done(nil, false)
		return
	}
	if hint == nil {
		hint = n.w.voters[n.w.rng.IntN(len(n.w.voters))]
	}
	if n.log == nil {
		n.hint = hint
	}
	n.after(p.pause/2+n.w.within(p.pause), p.attempt)
	p.pause = min(2*p.pause, retryMost)
}

// takeProposal is the leader's end.
func (n *node) takeProposal(command []byte, answer func(outcome)) {
	l := n.log
	if l == nil || l.role != leader || n.lead == nil {
		o := outcome{}
		if l != nil {
			o.hint = l.leads
		}
		answer(o)
		return
	}
	command = n.prepare(command)
	index := uint64(len(l.entries)) + 1
	l.append(command, func(result any, ok bool) {
		answer(outcome{result: result, index: index, command: command, ok: ok})
	})
}

// prepare does what the leader does before a command of a node goes into the log, and
// gives the command that does: who claims is alive, an orphan's standby comes before
// it, and nobody is given streams who may be dead.
func (n *node) prepare(command []byte) []byte {
	c, err := state.Decode(command)
	n.w.must(err)
	switch c := c.(type) {
	case state.Claim:
		n.lead.renewedBy(c.Node)
		if move, ok := n.w.rules.Heir(n.lead.moment(), c); ok {
			n.lead.command(move)
		}
	case state.Resume:
		n.lead.renewedBy(c.Node)
	case state.FailOver:
		farewell := n.w.rules.Farewell(n.lead.moment(), c)
		n.w.check.decides(n.lead, farewell)
		command, err = state.Encode(farewell)
		n.w.must(err)
	}
	return command
}
