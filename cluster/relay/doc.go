// Package relay is where the owner of a stream and its readers meet on a node.
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
package relay
