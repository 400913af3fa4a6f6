// Package member is what every node of a cluster has, with a vote or without:
// an id of its own, a local copy of the replicated state to read, the commands
// that it may ask the leader for, and a lease that says it is alive.
//
// Reads never wait for anybody. Package consensus feeds the copy of a voter
// from raft, package replica that of any other node from a voter.
package member
