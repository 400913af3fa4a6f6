package fanout

import "errors"

// Why a viewer leaves the fan-out, as [Sink.OnLeave] is told.
var (
	// ErrEnded: the stream has ended and the viewer has all of it.
	ErrEnded = errors.New("stream ended")
	// ErrStopped: [Viewer.Stop] was called and the message in hand is out.
	ErrStopped = errors.New("viewer stopped")
	// ErrLag: the viewer has skipped more than its clock can be taken back, 24 days.
	ErrLag = errors.New("viewer lags behind")
	// ErrOvertaken: what the viewer should get next is no longer held.
	ErrOvertaken = errors.New("viewer overtaken by the log")
	// ErrStalled: the viewer's socket took no byte for media.StallTimeout.
	ErrStalled = errors.New("viewer stalled")
	// ErrNotCarried: no track of the stream can be had in the viewer's format.
	ErrNotCarried = errors.New("no track of the stream can be carried in this format")
	// ErrTooManyWaiting refuses a viewer of a stream to come beyond media.MaxWaitingViewers.
	ErrTooManyWaiting = errors.New("too many viewers wait for a publisher")
)
