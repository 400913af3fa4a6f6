package reactor

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// Reactor is a set of loops that share listening addresses.
type Reactor struct {
	// Set at construction.
	cfg       Config
	started   time.Time
	loops     []*Loop
	addresses *addressBook

	// Shared by the loops.
	pending atomic.Int64 // connections of all loops that are not identified
	phase   atomic.Int32
}

// Phases of a reactor's life.
const (
	phaseNew int32 = iota
	phaseRunning
	phaseClosed
)

// New makes a reactor that does nothing yet but hold some descriptors: Run
// frees them when it ends, Close if Run is never called. On other systems than
// Linux it returns [ErrUnsupportedOS].
func New(cfg Config) (*Reactor, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Reactor{cfg: cfg, started: time.Now(), addresses: newAddressBook(cfg.MaxPerIP)}
	for i := range cfg.Loops {
		l, err := newLoop(r, i)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// Listen opens an address ("host:port", ":port" for every address, port 0 for
// a free one) on every loop and returns what was bound. open is called on a
// loop for each connection and returns what gets its callbacks, or nil to
// refuse it. Listen must come before Run; an address that another process has
// is an error that says "address already in use".
func (r *Reactor) Listen(addr string, open func(*Conn) Protocol) (net.Addr, error) {
	if r.phase.Load() != phaseNew {
		return nil, ErrStarted
	}
	fds, bound, err := listenAll(addr, len(r.loops))
	if err != nil {
		return nil, err
	}
	for i, l := range r.loops {
		ln := &listener{fd: fds[i], place: uint32(len(l.listeners)), addr: bound, open: open}
		ln.retry.Owner = ln
		l.listeners = append(l.listeners, ln)
	}
	return net.TCPAddrFromAddrPort(bound), nil
}

// Run runs the loops until ctx ends, then closes all listeners and connections,
// the latter with the context's cause as their reason. It returns when every
// goroutine has ended and every descriptor is closed; the error is nil unless a
// loop failed, which ends the others too. A reactor runs once.
func (r *Reactor) Run(ctx context.Context) error {
	if !r.phase.CompareAndSwap(phaseNew, phaseRunning) {
		return ErrStarted
	}
	defer r.phase.Store(phaseClosed)
	endWatch := r.startWatch()
	defer endWatch()
	ended := make(chan error)
	for _, l := range r.loops {
		go func() { ended <- l.run() }()
	}
	var faults []error
	done := ctx.Done()
	for running := len(r.loops); running > 0; {
		select {
		case <-done:
			done = nil
			r.stop(context.Cause(ctx))
		case err := <-ended:
			running--
			if err != nil {
				faults = append(faults, err)
				r.stop(err)
			}
		}
	}
	return errors.Join(faults...)
}

// Loops are the reactor's loops, in the order of their index; do not modify.
func (r *Reactor) Loops() []*Loop { return r.loops }

// Pending is the number of connections that are not identified yet; safe from
// any goroutine.
func (r *Reactor) Pending() int { return int(r.pending.Load()) }

// StopListening closes the listeners and keeps the connections, for a drain;
// safe from any goroutine. It reports false if some loop's mailbox is full: try
// again.
func (r *Reactor) StopListening() bool {
	all := true
	for _, l := range r.loops {
		all = l.Post(l.closeListeners) && all
	}
	return all
}

// Close frees the descriptors of a reactor that was never run.
func (r *Reactor) Close() error {
	if !r.phase.CompareAndSwap(phaseNew, phaseClosed) {
		return ErrStarted
	}
	var faults []error
	for _, l := range r.loops {
		l.mailbox.close()
		l.closeListeners()
		l.free()
		faults = append(faults, l.failed)
	}
	return errors.Join(faults...)
}

func (r *Reactor) stop(cause error) {
	for _, l := range r.loops {
		l.stop(cause)
	}
}

func (r *Reactor) clock() time.Duration { return time.Since(r.started) }
