//go:build !linux

package node

import "time"

// cpuTime is not known.
func cpuTime() time.Duration { return 0 }
