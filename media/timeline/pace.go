package timeline

import "tmms/media"

const (
	// paceWindow is how many steps of the stream the pace remembers: few
	// enough that a stream which was sparse once is not held so for long.
	paceWindow = 16
	// paceFactor is how much longer than its pace a gap of the stream may be.
	paceFactor = 3
	// paceKnown is how many steps say something about the pace.
	paceKnown = 4
	// maxGap bounds a gap that can be a stream's pace.
	maxGap media.Timestamp = 600_000
)

// pace remembers how the stream has moved on lately, to tell a sparse stream
// from a jump.
type pace struct {
	steps [paceWindow]media.Timestamp
	n     uint // steps seen
}

// observe notes a step of the stream forward; jumps count too, since the first
// gap of a stream that turns sparse looks like one.
func (p *pace) observe(step media.Timestamp) {
	if step <= 0 || step > maxGap {
		return
	}
	p.steps[p.n%paceWindow] = step
	p.n++
}

// known says that the pace has seen enough of the stream.
func (p *pace) known() bool { return p.n >= paceKnown }

// regular is the second longest step in memory: the longest that came twice.
func (p *pace) regular() media.Timestamp {
	var first, second media.Timestamp
	for _, s := range p.steps {
		if s > first {
			first, second = s, first
		} else if s > second {
			second = s
		}
	}
	return second
}
