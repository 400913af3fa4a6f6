package session

import (
	"time"

	"tmms/cluster/state"
)

// silentAfter is how long a publisher must have sent no byte to lose its stream
// under the policy replace_same_token. An encoder that lost its network comes
// back while the old connection still looks open.
const silentAfter = 2 * time.Second

// mayReplace decides whether a newcomer takes the stream of a publisher that
// sent its last byte silent ago (CASES: takeover).
func mayReplace(policy state.BusyPolicy, silent time.Duration, sameToken bool) bool {
	switch policy {
	case state.BusyReplace:
		return true
	case state.BusyReplaceSameToken:
		return sameToken || silent >= silentAfter
	case state.BusyReject:
	}
	return false
}
