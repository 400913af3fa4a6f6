// Package relaywire is the codec of tmms-relay/1, by which nodes hand streams
// to each other: messages on bidirectional QUIC streams, media on
// unidirectional ones. docs/relay.md is its prose.
//
// Parse functions take what has arrived so far and give a value with the number
// of bytes that it took; the error is [ErrShort] when more bytes are needed and
// wraps [ErrMalformed] when no more bytes will help. Every length is checked
// against media/limits.go before anything is allocated for it. Append functions
// append the form that Parse takes.
//
// Nodes of different minor versions work together, see [Version]: what is new in a
// later one is sent only where both have said that they speak it.
//
// Integers are unsigned LEB128 ("varint", at most 10 bytes) unless a layout says
// otherwise; signed ones are zigzag coded first, as in encoding/binary.
package relaywire
