// Package amf0 reads and writes Action Message Format 0, in which RTMP
// commands and FLV script tags are written (Adobe, "Action Message Format --
// AMF 0", 2007).
//
// Decoding is bounded by [media.MaxAMFDepth] and [media.MaxAMFNodes] and never
// allocates by a declared count.
package amf0
