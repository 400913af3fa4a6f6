package relay

import (
	"errors"
	"fmt"
	"slices"

	"tmms/media"
	"tmms/media/relaywire"
)

// errReorder ends a subscription whose packets can't be put in order within bounds.
var errReorder = errors.New("relay: reorder")

// orderedSink gets the packets in order.
type orderedSink interface {
	// beginGroup is called before the first packet of a group stream.
	beginGroup(h *relaywire.GroupHeader)
	// packet gets the next packet; its body is only good during the call.
	packet(p *media.Packet) error
}

// reorder puts the packets of a subscription's group streams into the order of
// the streams. Those of the stream that is next go out at once; those of later
// ones are copied and held, within bounds. It belongs to one goroutine at a time.
type reorder struct {
	sink    orderedSink
	started bool   // packets may go out
	next    uint64 // seq of the stream whose packets go out
	begun   bool   // its header was given to the sink
	held    map[uint64]*heldGroup
	bytes   int // of the packets held
}

// heldGroup is a group stream that has not been finished.
type heldGroup struct {
	header  *relaywire.GroupHeader // nil: only a skip has come
	packets []media.Packet
	whole   bool // all its packets have come
	skipped bool // the source gave it up
}

func newReorder(sink orderedSink) *reorder {
	return &reorder{sink: sink, held: map[uint64]*heldGroup{}}
}

// start lets packets out.
func (r *reorder) start() error {
	r.started = true
	return r.drain()
}

// open takes the header of a group stream. h is kept.
func (r *reorder) open(h *relaywire.GroupHeader) error {
	g, err := r.group(h.Seq)
	if g == nil || err != nil {
		return err
	}
	if g.header != nil {
		return fmt.Errorf("%w: group stream %d came twice", errReorder, h.Seq)
	}
	g.header = h
	return r.drain()
}

// group finds or makes a group stream; nil: it is done with.
func (r *reorder) group(seq uint64) (*heldGroup, error) {
	if seq < r.next {
		return nil, nil
	}
	g := r.held[seq]
	if g == nil {
		if seq-r.next > media.MaxReorderGroups {
			return nil, fmt.Errorf("%w: group stream %d while %d is missing, the limit is %d ahead",
				errReorder, seq, r.next, media.MaxReorderGroups)
		}
		g = &heldGroup{}
		r.held[seq] = g
	}
	return g, nil
}

// put takes the next packet of an open group stream.
func (r *reorder) put(seq uint64, p *media.Packet) error {
	g, err := r.group(seq)
	if g == nil || err != nil {
		return err
	}
	if r.started && seq == r.next {
		return r.sink.packet(p)
	}
	if r.bytes+len(p.Body) > media.MaxReorderBytes {
		return fmt.Errorf("%w: more than %d bytes wait for group stream %d", errReorder, media.MaxReorderBytes, r.next)
	}
	r.bytes += len(p.Body)
	c := *p
	c.Body = slices.Clone(p.Body)
	g.packets = append(g.packets, c)
	return nil
}

// finish notes that all packets of a group stream have come.
func (r *reorder) finish(seq uint64) error {
	g, err := r.group(seq)
	if g == nil || err != nil {
		return err
	}
	g.whole = true
	return r.drain()
}

// skip notes that the source gave a group stream up; what has come of it goes out.
func (r *reorder) skip(seq uint64) error {
	g, err := r.group(seq)
	if g == nil || err != nil {
		return err
	}
	g.skipped = true
	return r.drain()
}

// drain lets out what is next now.
func (r *reorder) drain() error {
	for r.started {
		g := r.held[r.next]
		if g == nil {
			return nil
		}
		if g.header != nil && !r.begun {
			r.begun = true
			r.sink.beginGroup(g.header)
		}
		for i := range g.packets {
			r.bytes -= len(g.packets[i].Body)
			if err := r.sink.packet(&g.packets[i]); err != nil {
				return err
			}
		}
		g.packets = nil
		if !g.whole && !g.skipped {
			return nil
		}
		delete(r.held, r.next)
		r.next++
		r.begun = false
	}
	return nil
}

// waiting tells that packets are held because earlier ones are missing.
func (r *reorder) waiting() bool { return r.bytes > 0 || len(r.held) > 1 }
