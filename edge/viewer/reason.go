package viewer

import (
	"context"
	"errors"
	"io"
	"syscall"

	"tmms/edge/fanout"
	"tmms/edge/reactor"
)

// Why connections of viewers are closed, beside the reasons of fanout and reactor.
var (
	// ErrDone: the conversation is over in good order.
	ErrDone = errors.New("viewer: done")
	// ErrTimeout: the peer did not get on with it.
	ErrTimeout = errors.New("viewer: timeout")
	// ErrProtocol: the peer broke its protocol.
	ErrProtocol = errors.New("viewer: protocol error")
	// ErrRefused: what the peer asked for was refused.
	ErrRefused = errors.New("viewer: refused")
	// ErrFull: the node has as many viewers as it may have.
	ErrFull = errors.New("viewer: too many viewers")
	// ErrDraining: the node is being emptied.
	ErrDraining = errors.New("viewer: node is draining")
)

// Reason is a class of causes, for the metrics' label.
type Reason uint8

// The reasons.
const (
	ReasonOther Reason = iota
	ReasonDone
	ReasonPeer
	ReasonEnded
	ReasonLag
	ReasonOvertaken
	ReasonStalled
	ReasonTimeout
	ReasonProtocol
	ReasonRefused
	ReasonFull
	ReasonEvicted
	ReasonDrain
	ReasonShutdown
	NumReasons
)

// String is the label's value.
func (r Reason) String() string {
	names := [NumReasons]string{
		"other", "done", "peer", "ended", "lag", "overtaken", "stalled", "timeout", "protocol", "refused", "full",
		"evicted", "drain", "shutdown",
	}
	if r < NumReasons {
		return names[r]
	}
	return names[ReasonOther]
}

// ReasonOf classifies the cause of a connection's end.
func ReasonOf(err error) Reason {
	table := []struct {
		target error
		reason Reason
	}{
		{ErrDone, ReasonDone},
		{io.EOF, ReasonPeer},
		{syscall.ECONNRESET, ReasonPeer},
		{syscall.EPIPE, ReasonPeer},
		{syscall.ETIMEDOUT, ReasonPeer},
		{fanout.ErrEnded, ReasonEnded},
		{fanout.ErrLag, ReasonLag},
		{fanout.ErrOvertaken, ReasonOvertaken},
		{fanout.ErrStalled, ReasonStalled},
		{ErrTimeout, ReasonTimeout},
		{ErrProtocol, ReasonProtocol},
		{reactor.ErrBacklog, ReasonProtocol},
		{ErrRefused, ReasonRefused},
		{ErrFull, ReasonFull},
		{fanout.ErrTooManyWaiting, ReasonFull},
		{reactor.ErrEvicted, ReasonEvicted},
		{ErrDraining, ReasonDrain},
		{context.Canceled, ReasonShutdown},
	}
	for _, row := range table {
		if errors.Is(err, row.target) {
			return row.reason
		}
	}
	return ReasonOther
}
