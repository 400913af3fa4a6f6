// Package mpegts writes MPEG-2 transport streams (ISO/IEC 13818-1) for HLS
// segments and HTTP-TS: one program with one video and one audio track at most.
//
// A [Muxer] lives as long as its stream. It appends to slices of the caller
// and is cut wherever the caller likes: [Muxer.Flush], a new slice,
// [Muxer.WriteTables]. Continuity counters and clock go on over cuts and over
// [Muxer.Reconfigure].
//
// Timestamps are int64 ticks of 90 kHz in stream time, which may start at 0 and
// never wrap; the muxer adds [TimeOffset], keeps them strictly growing per
// track and wraps them to 33 bits.
package mpegts
