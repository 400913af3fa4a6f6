// Package placement chooses between nodes: from who is there, how busy they are
// and how far away, to the order in which they are asked. It has no clock and does
// no I/O, and every node that knows the same comes to the same result.
package placement
