// Package relayend runs one end of a relay in a process of its own, for the
// bench of what the relay costs: a source, which is a node that owns streams,
// or a sink, which is a node that pulls them. Both are made of the cluster's
// own parts (fabric, relay, certificates); only the streams are synthetic and
// the placements are fixed.
//
// The process that measures talks to an end by lines of JSON: a [Config], the
// [Reply] to it, then one [Request] after another, each with its [Reply]. The
// end of the requests ends the process.
//
//	bench --Config, Request...--> source --QUIC on 127.0.0.1--> sink <--Config, Request...-- bench
package relayend
