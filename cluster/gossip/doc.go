// Package gossip is who is there: every node knows every other one by name, with
// its roles, its place, its addresses and how busy it is, and hears within
// seconds when one comes or goes. It is memberlist (SWIM) with a mandatory
// keyring on a transport of our own.
//
// It is membership, load and addresses, never a verdict: who owns a stream, and
// whether an owner counts as dead, is decided by epochs and leases in the raft
// group. No stream names are gossiped.
//
// What a node says of itself ([Meta]) is encoded in at most 512 bytes, which is
// all that memberlist has for it, because each of its parts is bounded.
package gossip
