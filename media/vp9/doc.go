// Package vp9 reads what a container needs to know of VP9: the codec
// configuration record (VP Codec ISO Media File Format Binding 1.0) and the
// picture's size in a keyframe (VP9 Bitstream & Decoding Process Specification 0.6).
package vp9
