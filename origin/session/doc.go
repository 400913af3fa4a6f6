// Package session owns the streams that are published on this node: who may
// publish, what time it is in a stream, and which identity a packet has.
//
// A [Registry] holds one stream per key; a lock per stream owns everything
// about it. Publisher connections come and go as a [Publisher] each, and the
// stream outlives them by the app's grace. DESIGN.md has the states and why
// they are as they are.
package session
