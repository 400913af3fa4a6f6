// Package id3 makes the ID3v2.4 tags in which HLS and MPEG-TS carry timed
// metadata.
package id3

import (
	"strings"
	"unicode/utf8"

	"tmms/media"
)

const (
	headerSize = 10 // of a tag, and of a frame
	utf8Text   = 3  // text encoding
)

// AppendTXXX appends a tag with one frame, TXXX (user defined text): a
// description and a value, in UTF-8 (ID3v2.4.0 structure sections 3.1 and 4,
// frames section 4.2.6):
//
//	"ID3" | 4 0 | flags 0 | size (4 x 7 bits) |
//	"TXXX" | size (4 x 7 bits) | flags 0 (2) | encoding 3 | description 0 | value
//
// Both texts end where they have a NUL, and what is not UTF-8 in them becomes
// U+FFFD. A tag longer than [media.MaxTimedMetadata] is not made: b is returned
// as it was.
func AppendTXXX(b []byte, description, value string) []byte {
	description, value = clean(description), clean(value)
	body := 1 + len(description) + 1 + len(value)
	if 2*headerSize+body > media.MaxTimedMetadata {
		return b
	}
	b = append(b, 'I', 'D', '3', 4, 0, 0)
	b = appendSize(b, headerSize+body)
	b = append(b, "TXXX"...)
	b = appendSize(b, body)
	b = append(b, 0, 0, utf8Text)
	b = append(b, description...)
	b = append(b, 0)
	return append(b, value...)
}

// clean makes a text what a frame can hold.
func clean(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// appendSize appends a number of 28 bits, seven to a byte.
func appendSize(b []byte, n int) []byte {
	return append(b, byte(n>>21)&0x7F, byte(n>>14)&0x7F, byte(n>>7)&0x7F, byte(n)&0x7F)
}
