// Package control is what nodes ask each other on the ALPN tmms-control/1:
// who they are, commands for the leader, linearizable reads, leases, changes of
// the raft group, the state to follow, and lists that only one node has.
//
// A request is a bidirectional stream of a fabric session. Both ends send
// frames:
//
//	offset  bytes
//	0       4  length of the rest, big endian, at most media.MaxControlFrame
//	4          JSON
//
// The client sends one frame and ends its side:
//
//	{"v":1,"method":"propose","body":{...}}
//
// The server answers with frames {"body":{...}} or {"error":{"code":"...",
// "message":"...","data":{...}}}: one for most methods; a list comes in parts
// {"part":"base64","more":true}; a watch gives parts of a snapshot, commands and
// marks until one end has enough:
//
//	{"index":7,"part":"base64","more":true} ... {"index":7,"part":"base64"}
//	{"index":8,"command":{"v":1,"type":"claim","data":{...}}}
//	{"mark":{"index":8,"leader":"ID","leader_name":"NAME"}}
//
// A mark follows when everything up to its index was sent, and from then on every
// two seconds, to all followers at once.
//
// What a node has heard of others (seen) is asked by the leader before it finds one
// dead: {"about":["ID"]} is answered with {"seen":[{"about":"ID","known":true,
// "silent_ms":1600,"media_ms":300}]}, see package verdict.
//
// A node may ask what the roles of its certificate allow: only origins claim
// streams and change configs, every node speaks for itself alone.
package control
