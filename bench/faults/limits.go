package faults

import "time"

// Limits that the cases are held to, as CASES has them under "Cluster".
const (
	// A leader is lost: another one is there. Half of the times, and the longest.
	maxLeaderHalf = 2 * time.Second
	maxLeader     = 5 * time.Second
	// An owner is lost: the placement names another one.
	maxPlacement = 3 * time.Second
	// Its viewers elsewhere have a picture again, of an encoder that comes back after
	// encoderPause.
	maxResume    = 6 * time.Second
	encoderPause = 2 * time.Second
	// maxClockGain is how much further a stream's clock may go over an outage than the
	// outage took.
	maxClockGain = time.Second
	// maxApart is how far sound and picture may be apart.
	maxApart = 100 * time.Millisecond
	// Seams of HLS when an owner is lost.
	maxDiscontinuities = 1
	// listsAnew is how often a playlist may begin anew, above what it was, when an
	// owner is lost that has a standby.
	listsAnew = 0
	// maxStandby is by when a stream has a standby in sync, after one was lost too.
	maxStandby = 15 * time.Second
	// maxLossLag is the p99 of what 5 % loss and a round trip of 100 ms add.
	maxLossLag = time.Second
	lossRTT    = 100 * time.Millisecond
	// maxReturn is by when, after the end of a fault, all viewers have a picture.
	maxReturn = 20 * time.Second
	// maxFlips is how many epochs a stream may begin within steadyFor of a heal: one,
	// when its publisher is the old owner's.
	maxFlips  = 1
	steadyFor = 10 * time.Second
	// viewerNoGap bounds the time without a picture where there is no gap: three
	// frames, and what a busy machine takes.
	viewerNoGap = 1500 * time.Millisecond
)

// grace is that of the app: a stream outlives its publisher by it.
const grace = 30 * time.Second

// How long faults last.
const (
	stopFor      = 15 * time.Second // SIGSTOP
	cutFor       = 12 * time.Second // a partition
	flapEvery    = time.Second
	slowWrite    = 400 * time.Millisecond // of a slow disk, at most
	slowFor      = 15 * time.Second
	fullFor      = 10 * time.Second
	clockStep    = time.Hour
	clockFor     = 8 * time.Second
	brokenLinkOf = 20 * time.Second
)
