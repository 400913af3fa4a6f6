// Package ingest serves publisher connections: one goroutine each reads from
// the socket, feeds the RTMP parser, and gives what comes out to the stream's
// session. Connections come from the edge's loops, which hand over those that
// turned out to publish, or from listeners of its own on a node without edge.
package ingest
