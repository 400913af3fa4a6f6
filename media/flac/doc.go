// Package flac reads what a container needs to know of FLAC (RFC 9639): the
// stream's header and how many samples a frame holds.
package flac
