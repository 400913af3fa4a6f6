// Package media holds the nouns that every part of tmms shares: the stream
// key, the packet with its identity and time, codecs, and the limits on what
// the network may ask of us.
//
// Everything below media is sans-I/O: no sockets, no goroutines, no locks, no
// clock, no logs. Parsers take bytes and return values; time is a parameter.
package media
