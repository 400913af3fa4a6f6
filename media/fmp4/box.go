package fmp4

import "encoding/binary"

// boxHeader is the size of a box without its body, in bytes, fullBoxHeader that
// of one with version and flags (ISO/IEC 14496-12 section 4.2).
const (
	boxHeader     = 8
	fullBoxHeader = boxHeader + 4
)

// box is a box around its parts. It is for what is written once a
// configuration; fragments are written in place.
func box(typ string, parts ...[]byte) []byte {
	n := boxHeader
	for _, p := range parts {
		n += len(p)
	}
	b := appendBoxHeader(make([]byte, 0, n), typ, n)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// fullBox is a box with a version and flags.
func fullBox(typ string, version byte, flags uint32, parts ...[]byte) []byte {
	return box(typ, append([][]byte{u32(uint32(version)<<24 | flags)}, parts...)...)
}

// appendBoxHeader begins a box of size bytes in all.
func appendBoxHeader(b []byte, typ string, size int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	return append(b, typ...)
}

// appendFullBoxHeader begins a box with version and flags of size bytes in all.
func appendFullBoxHeader(b []byte, typ string, size int, version byte, flags uint32) []byte {
	return binary.BigEndian.AppendUint32(appendBoxHeader(b, typ, size), uint32(version)<<24|flags)
}

func u16(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func u32(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}
