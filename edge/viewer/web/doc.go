// Package web serves viewers over HTTP/1.1 on the reactor's loops: HTTP-FLV,
// FLV over WebSocket, HTTP-TS, HLS, the watch page and its players.
//
//	GET /                           watch page, also /watch/APP/STREAM
//	GET /assets/NAME, /favicon.ico  its parts
//	GET /APP/STREAM.flv             live FLV until the stream ends; with an upgrade, over WebSocket
//	GET /APP/STREAM.ts              live MPEG-TS until the stream ends
//	GET /APP/STREAM.m3u8            multivariant playlist
//	GET /APP/STREAM/live.m3u8       media playlist
//	GET /APP/STREAM/ll.m3u8         low-latency media playlist, with blocking reload and delta updates
//	GET /APP/STREAM/EPOCH-MSN.ts    segment, or EPOCH-MSN.m4s, EPOCH-MSN.PART.m4s, init-EPOCH-VERSION.mp4
//
// The domain is that of the Host header, or of ?domain= or ?vhost=. Every
// answer allows every origin to read it.
//
// A connection has no goroutine and no buffer but for what a request leaves
// unfinished; nothing here blocks.
package web
