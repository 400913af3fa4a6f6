// Package sim runs a cluster of up to hundreds of nodes in virtual time, without
// sockets, goroutines or clocks: a seed decides everything that happens, and the
// same seed gives the same run. It breaks the cluster (losses, delays, reordering,
// partitions, crashes, pauses, clocks that jump) and checks after every step what
// must hold whatever happens; see checker.
//
// # What is real
//
// The state machine (package state: every command is encoded, decoded and applied
// by every replica; voters restart from snapshots), the verdict on who is dead
// (package verdict), the duties of the leader and its choice of standbys.
//
// # What is modelled
//
// The replicated log (raft): elections with pre-vote, terms, one vote a term, logs
// that match by index and term, entries of the leader's own term committed by a
// majority, a leader that steps down without one, disks that survive crashes. It
// follows the paper and the timing of package consensus, not the code of
// hashicorp/raft, which needs real timers.
//
// Sessions: a publisher at one origin, a claim or an ingest relay to the owner, a
// standby that follows, acknowledges and gates what readers see, its adoption of
// the stream, the superseded owner. The media of a stream is a counter of records.
//
// Loads: each stream is some load to its owner, and gossip brings loads everywhere
// every two seconds.
//
// The network: a message is lost, or comes after a time of its own; one to a
// process that has ended meanwhile is dropped, as its session is.
package sim
