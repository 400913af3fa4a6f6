package fanout

import "slices"

// Leaver is a Sink whose peer can be asked to leave by itself.
type Leaver interface {
	// AskToLeave does so, and sees to it that the viewer leaves within a time of
	// the sink's own; false: the viewer has to be stopped.
	AskToLeave() bool
}

// Mover is a Sink whose peer can be asked to go to another node, and may stay.
type Mover interface {
	AskToMove()
}

// parting is viewers that are still to be asked to go, and how.
type parting struct {
	viewers []*Viewer
	ask     func(*Viewer)
}

// StopAll asks every viewer that is there to leave, see [Viewer.Stop], some in
// each of the next ticks. A sink that is a [Leaver] may do it by itself.
func (e *Engine) StopAll() {
	e.partings = nil // they are among these
	e.part(func(*Viewer) bool { return true }, func(v *Viewer) {
		if l, ok := v.sink.(Leaver); !ok || !l.AskToLeave() {
			v.Stop()
		}
	})
}

// StopThose stops the viewers that are there of some formats, see [Viewer.Stop],
// some in each of the next ticks.
func (e *Engine) StopThose(formats ...Format) {
	e.part(func(v *Viewer) bool { return slices.Contains(formats, v.Format()) }, (*Viewer).Stop)
}

// MoveAll asks every viewer that is there, and whose sink is a [Mover], to go to
// another node, some in each of the next ticks.
func (e *Engine) MoveAll() {
	e.part(func(v *Viewer) bool { _, ok := v.sink.(Mover); return ok }, func(v *Viewer) {
		if m, ok := v.sink.(Mover); ok {
			m.AskToMove()
		}
	})
}

func (e *Engine) part(which func(*Viewer) bool, ask func(*Viewer)) {
	p := parting{ask: ask}
	e.Each(func(v *Viewer) bool {
		if which(v) {
			p.viewers = append(p.viewers, v)
		}
		return true
	})
	if len(p.viewers) > 0 {
		e.partings = append(e.partings, p)
	}
}

// partSome asks the next of those that were found; one that has left meanwhile is
// not there to be asked.
func (e *Engine) partSome() {
	if len(e.partings) == 0 {
		return
	}
	p := &e.partings[0]
	some := p.viewers[:min(len(p.viewers), leaveBatch)]
	for _, v := range some {
		if v.bucket != nil {
			p.ask(v)
		}
	}
	clear(some)
	if p.viewers = p.viewers[len(some):]; len(p.viewers) == 0 {
		e.partings = slices.Delete(e.partings, 0, 1)
	}
}
