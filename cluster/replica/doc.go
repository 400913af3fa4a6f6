// Package replica is what a node without a vote has instead of package
// consensus: a copy of the replicated state that follows a voter, any voter,
// and goes on from its index after a break. While no voter answers, it serves
// the last state that it knows; its writes wait for a leader.
package replica
