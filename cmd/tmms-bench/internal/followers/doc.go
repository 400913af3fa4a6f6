// Package followers simulates edges that follow a cluster's state: each is a node
// without a vote as a real one has it, with a certificate, a socket and a QUIC session
// of its own, a copy of the state and a lease. Only its viewers are missing.
package followers
