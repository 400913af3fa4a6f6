// Package state is the replicated state machine of a tmms cluster: the config
// of domains and apps with its history, the placement of streams, and the
// nodes.
//
// It is pure. [State.Apply] turns one command into a new state and a result,
// and reads nothing but its arguments: no clock, no randomness, no order of a
// map. Every replica that applies the same commands therefore holds the same
// bytes. Package consensus runs it under raft.
//
// A State has one owner; it is not safe for use from several goroutines. A
// [Config] is immutable and may be shared.
package state
