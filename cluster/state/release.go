//go:build !next

package state

import "fmt"

// Level is the feature level of this version: what it may put into the log and
// send to other nodes when the whole cluster has been raised to it. It rises with
// each release that adds a command, a field of one or a message between nodes.
const Level = 2

// snapshotVersion is the latest that this version reads and writes.
const snapshotVersion = snapshotTokens

// later is what the next release adds to the state and its snapshots. Tests build
// one that adds something (release_next.go, ADR 11); here there is nothing.
type later struct{}

// laterNeeds is the part of [Needs] about what the next release adds.
func laterNeeds(Command) int { return 0 }

// decodeLater decodes the commands that the next release adds.
func decodeLater(e envelope) (Command, error) {
	return nil, fmt.Errorf("%w: type %q", ErrUnknownCommand, clip(e.Type))
}
