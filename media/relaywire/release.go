//go:build !next

package relaywire

// Newest is the highest version that this release speaks.
const Newest = V2

// needed is the version that a stream begins with: nothing after V1 has made one that
// a node of version 1 does not understand.
func (Version) needed() Version { return V1 }
