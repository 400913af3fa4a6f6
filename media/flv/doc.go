// Package flv reads and writes the FLV container (Adobe FLV 10.1 annex E) and
// describes the codec header that opens every audio and video tag body, legacy
// and Enhanced RTMP v2 alike.
//
// Nothing here holds state or copies a body: parsed slices alias the input.
package flv
