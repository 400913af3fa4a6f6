// Package certs holds the certificates that viewers and publishers see: read
// from files, chosen by the name that a client asks for (RFC 6066 section 3), and
// read again when the files change. The nodes' own certificates are of package pki.
package certs
