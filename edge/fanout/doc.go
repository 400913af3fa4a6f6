// Package fanout sends live streams to viewers from the shared logs.
//
// Each reactor loop has one [Engine]. A viewer is an offset into a log and
// little else: no goroutine, no buffer, no pointer into the log's blocks. FLV
// is the log itself; RTMP chunks, WebSocket frames and MPEG-TS are views of it,
// made by the first viewer that wants them, shared by all loops of the node and
// dropped with the last one.
//
//	relay.Live -> log (FLV tags) ----------------> channel -> bucket (slot) -> viewers
//	                 \-> view (RTMP, WS, TS) -----> channel -> bucket (slot) -> viewers
//
// Viewers are spread over the slots of their app's flush interval T; a slot is
// flushed in one pass every T: one send from each viewer's cursor to the head.
// Nothing happens per frame, and nothing at all without viewers.
//
// Everything in an Engine belongs to its loop. Only a view's writing side is
// shared between loops, under a try-lock that never blocks one.
package fanout
