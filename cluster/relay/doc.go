// Package relay is where the owner of a stream and its readers meet, on a node
// and between nodes.
//
// A [Hub] holds the feeds of a node. The reader side (an edge) opens a [Feed]
// by key and sees its [Live] come and go; the writer side (an origin's session,
// or a pull from another node) publishes a life of the stream through a
// [Writer]. Neither side knows which kind of partner it has.
//
//	session or pull -> Writer -> Live {byte log, join points, configs, index} <- Feed <- edge loops
//
// Readers take no lock on the way of the media: the log, the join points, the
// configs and the segment index are published by atomic stores and read at the
// readers' own pace. Nobody is woken per packet.
//
// Between nodes, the [Server] of a stream's owner reads the life like any other
// reader and sends it to the [Puller] of a node that has readers, which writes
// it into that node's hub, with the same identities and bytes:
//
//	owner: Live -> subscription -> group streams == QUIC ==> intake -> reorder -> Writer -> Live :edge
//
// docs/relay.md has the protocol and the states of a pull.
package relay
