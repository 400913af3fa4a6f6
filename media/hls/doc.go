// Package hls holds the segment index of a stream and renders it.
//
// An [Index] is made once, by the stream's owner, and is immutable from then
// on: every node that holds version N of an index serves the same bytes. A
// playlist is a pure function of the index and of the suffix of the request,
// and its ETag is the index's version.
//
// Names, relative to the stream's folder APP/STREAM/:
//
//	../STREAM.m3u8    multivariant playlist
//	live.m3u8         media playlist
//	ll.m3u8           media playlist of low latency, with parts
//	EPOCH-MSN.ts      media segment, immutable for ever, as are all others; see [Name]
package hls
