// Package amf0 reads and writes Action Message Format 0, in which RTMP
// commands and FLV script tags are written (Adobe, "Action Message Format --
// AMF 0", 2007).
//
// A value of AMF3 in the middle, which a sender may switch to at any place (AMF 0
// section 3.1), is read as the AMF0 value that says the same. Only AMF0 is written.
//
// Decoding is bounded by [media.MaxAMFDepth] and [media.MaxAMFNodes] and never
// allocates by a declared count.
package amf0
