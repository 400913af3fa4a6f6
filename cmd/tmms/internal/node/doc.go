// Package node wires the parts of a node: the raft group with its state, the
// hub where streams are met, the origin, the edge and the admin port. Parts
// that must not know each other (origin and edge) meet here.
package node
