// Package crowd lets thousands of viewers come at once to the edges of a cluster,
// for a stream that is about to start, and tells which of them got a picture. It
// starts such a cluster too, each node a process of its own.
package crowd
