// Package edge serves viewers: RTMP, HTTP-FLV, FLV over WebSocket, HTTP-TS and
// HLS, from the streams that a relay.Hub holds, on the project's own reactor.
//
//	reactor loop 1..n, each:  rtmp conns \
//	                          http conns -> fanout.Engine -> relay.Live logs
//
// An edge knows nothing of where a stream comes from: from an origin's session
// on the same node or from another node. Connections that turn out to publish
// are given to Deps.Publish.
package edge
