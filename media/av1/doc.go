// Package av1 reads what a container needs to know of AV1: the codec
// configuration record (AV1 Codec ISO Media File Format Binding 1.2), the
// sequence header and the open bitstream units (OBU) of a temporal unit (AV1
// Bitstream & Decoding Process Specification 1.0.0).
package av1
