package path

import (
	"time"

	"tmms/media"
)

// Bounds within the package; those of memory are in media/limits.go.
const (
	// vectorMemory is what a source takes in a ring, in bytes: a vector and the
	// size class of the allocator.
	vectorMemory = 1536
	// firstRing is how many sources a sender keeps at first, and window how many
	// a receiver keeps: those of a combination, and those that may come since.
	firstRing = media.MaxFabricRepairWindow
	window    = 4 * media.MaxFabricRepairWindow
	// maxHoles bounds the sources that a receiver misses at a time; past it the
	// link is down rather than lossy, and QUIC shall see it.
	maxHoles = 512
	// maxTerms bounds the missing sources in a combination, and the combinations
	// that wait: a row of them is added to all others.
	maxTerms = 64
	// maxJump is how far a source may be ahead; past it the receiver begins anew.
	maxJump = 1 << 16
	// maxRanges bounds a request.
	maxRanges = 32
	// maxTries is how often a source is requested.
	maxTries = 3
	// maxResent bounds the sources that are sent again, for each that is sent.
	maxResent = 0.1
)

// How strong the code is: combinations for each source.
const (
	// maxParity bounds the strength, and what is added for the sake of time.
	maxParity = 0.18
	// firstParity is the strength while firstSpell lasts: a QUIC connection that
	// begins loses its slow start with one packet.
	firstParity = 0.25
	firstSpell  = 2 * time.Second
	// minParity is the strength while nothing is lost.
	minParity = 0.02
	// parityOfLoss is the strength for each lost source.
	parityOfLoss = 1.8
	// parityOfRuns is that where runs are lost, for which more is added below.
	parityOfRuns = 1.2
	// burstRun is from how many lost in a row on average losses are runs.
	burstRun = 1.5
	// burstTime is within how long a run of lost sources shall be repaired.
	burstTime = 60 * time.Millisecond
	// burstShare, less runsTaken for each lost source, bounds what is done for that:
	// what is lost is sent again too, in vain for the most part.
	burstShare = 0.115
	runsTaken  = 1.5
)

// Times of a sender.
const (
	// repairAge bounds how old the sources in a combination are.
	repairAge = 200 * time.Millisecond
	// repairSpell is how long sources wait for a combination, as far as maxParity
	// allows; firstRepairSpell while firstSpell lasts.
	repairSpell      = 20 * time.Millisecond
	firstRepairSpell = 5 * time.Millisecond
	// maxDebt is how many combinations, made for the sake of time, are left out later.
	maxDebt = 2
	// flushPause is how soon the last sources get a combination when none follows.
	flushPause = 5 * time.Millisecond
)

// Times of a receiver.
const (
	// minPatience and maxPatience bound how long a missing source may be
	// repaired, or come late, before it is requested; between them it is
	// patienceShare of the round trip, in percent. To wait until a run is repaired
	// (burstTime) saves resends of 2 % at 3 % loss, but makes the slowest frames 20 to
	// 30 ms slower.
	minPatience   = 5 * time.Millisecond
	maxPatience   = 25 * time.Millisecond
	patienceShare = 25
	// retryMargin is what a resend may take longer than the round trip.
	retryMargin = 20 * time.Millisecond
	// holdShare is how much of a round trip, in percent, packets wait for one in
	// front of them; minHold and maxHold bound it.
	holdShare = 60
	minHold   = 10 * time.Millisecond
	maxHold   = 80 * time.Millisecond
	// reportPause is how often a receiver reports.
	reportPause = 100 * time.Millisecond
	// worstAge is for how long the longest run counts.
	worstAge = 10 * time.Second
)

// What a queue is.
const (
	// basePeriod is how often the least delay is renewed; it is of two of them.
	basePeriod = 10 * time.Second
	// queueInterval is over how long the least delay is taken, from at least
	// queueSamples sources.
	queueInterval = 100 * time.Millisecond
	queueSamples  = 10
	// queueStands is from where on a queue counts, if it stood for queueSpells
	// intervals; it is gone after calmSpells without.
	queueStands = 5 * time.Millisecond
	queueSpells = 3
	calmSpells  = 5
	// usualFade and behindFade are over how many sources, and gaps, queues are
	// averaged; queueMargin keeps noise from being taken for a difference.
	usualFade   = 1000
	behindFade  = 16
	queueMargin = 2 * time.Millisecond
	// maxMarks bounds the packets that are yet to be marked.
	maxMarks = 16
)

// When to code.
const (
	// NearRoundTrip is from where on QUIC's own recovery is too slow: what is
	// lost comes a round trip later, and the window is regained by one packet each.
	NearRoundTrip = 20 * time.Millisecond
	// ObservePause is how often the controller looks at what QUIC knows;
	// observeFade is how much of what is older counts then: 12 s of it.
	ObservePause = 250 * time.Millisecond
	observeFade  = 0.98
	// heavyBytes a pause, in packets of heavyPacket bytes on average, are worth it;
	// lightSpell without end it.
	heavyBytes  = 5000
	heavyPacket = 300
	lightSpell  = 5 * time.Second
	// firstClean without a loss end coding at first; each time it has to begin
	// again that takes twice as long, up to lastClean.
	firstClean = 20 * time.Second
	lastClean  = 10 * time.Minute
	// dirtyLost packets of late, and that share of them, begin it again.
	dirtyLost  = 3
	dirtyShare = 0.0003
	// maxProbes without an answer, probePause and a round trip apart, are enough
	// for deafSpell.
	maxProbes  = 5
	probePause = 50 * time.Millisecond
	deafSpell  = 30 * time.Second
	// silence is how long a receiver may not report: six times in a row. A peer whose
	// address has changed does not know what is coded until then, and QUIC waits ever
	// longer between its tries.
	silence = 600 * time.Millisecond
	// lossSources is over how many sources the loss is taken.
	lossSources = 4000
	// keepTrips round trips and keepMargin are for how long sources are kept.
	keepTrips  = 3
	keepMargin = 100 * time.Millisecond
)

// How packets are spread.
const (
	// paceShare is how much faster than of late, the last paceSpell, may be sent,
	// in bytes a second at least paceLeast (16 Mbit/s), and how many at once.
	paceShare = 2
	paceSpell = 500 * time.Millisecond
	paceLeast = 2_000_000
	paceBurst = 16 * (media.MaxFabricPacket + Overhead)
	// paceWait bounds what one packet waits.
	paceWait = 50 * time.Millisecond
)
