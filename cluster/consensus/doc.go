// Package consensus runs the state machine of package state under
// hashicorp/raft: it keeps the log and the snapshots in a data folder, or
// everything in memory, and gives the rest of the node a local copy to read.
//
// Reads never wait on raft. Writes (claims, releases, configs) go through the
// leader, wherever it is, and return when this node has applied them.
//
// # The beginning
//
// The config names the voters. A node without any state says hello to all of
// them, until
//
//   - all answer, are empty, name the same voters and trust the same CA: the one
//     with the lowest name begins the group, with the ids that it has learned;
//   - one has state: there is a group, and its leader will come.
//
// So a group begins at most once, and a node that has lost its data folder does
// not begin another. The leader looks for configured voters that are not in the
// group and have no state: it takes their former self out, adds them without a
// vote, and gives them one when they have caught up. In the group's
// configuration the address of a server is its node's name; where the node is
// now, the nodes table and the config say.
//
// # Leases
//
// Every node tells the leader that it lives, three times a term. The leader
// keeps the times in memory, by its monotonic clock; a new leader, and one that
// has stood still itself, gives everybody a full term. A node is dead when its
// lease has lapsed, or within seconds when the leader and another node hear
// nothing from it over the fabric; package verdict has the rules. Then the leader
// takes the node's streams from it: those with a standby in sync move to it, the
// others become orphans, wait for a claim during their app's grace, and are
// released after it. A claim against a node that may be found dead waits for the
// verdict. This is evidence of death, not safety: that comes from epochs alone. A
// node whose renewals fail for a term refuses new claims and goes on with its
// streams.
package consensus
