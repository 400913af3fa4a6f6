// Package origin is a node's origin side: it takes publisher connections,
// runs the session of every stream that they publish, and writes the streams
// to the node's relay.Hub, where an edge reads them.
package origin
