package member

import "errors"

// Why the cluster does not do what a node asks, beside what package state says.
var (
	// ErrNotLeader says that nobody who leads was asked: nothing has happened.
	ErrNotLeader = errors.New("no leader of the cluster was reached")
	// ErrUncertain says that the command may or may not come into force: the
	// leader, or the way to it, was lost meanwhile.
	ErrUncertain = errors.New("the way to the leader was lost; the command may still be applied")
	// ErrStopped refuses everything after the end of Run.
	ErrStopped = errors.New("the node has stopped")
	// ErrLeaseLapsed refuses a claim of a node that the leader has not heard of
	// for a term: its streams may have been given to others.
	ErrLeaseLapsed = errors.New("the node's lease has lapsed")
	// ErrForbidden refuses what a node's certificate does not allow it to ask.
	ErrForbidden = errors.New("not allowed for this node")
	// ErrLevel refuses what needs a higher feature level than the cluster has, or
	// a level that not all nodes know.
	ErrLevel = errors.New("not before all nodes know it")
	// ErrInvalid refuses a request that breaks a rule; its text says which.
	ErrInvalid = errors.New("invalid request")
)
