// Package consensus runs the state machine of package state under
// hashicorp/raft: it keeps the log and the snapshots in a data folder, or
// everything in memory, and gives the rest of the node a local copy to read.
//
// Reads never wait on raft. Writes (claims, releases, configs) go through the
// leader and return when this node has applied them.
package consensus
