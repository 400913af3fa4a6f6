package relayend

import (
	"errors"
	"fmt"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
)

// Role of an end.
type Role string

// The two ends.
const (
	RoleSource Role = "source" // owns the streams and sends them
	RoleSink   Role = "sink"   // pulls them
)

// Config is what an end starts with.
type Config struct {
	Role          Role
	Cert, Key, CA []byte // PEM
	Streams       int    // that the source has
	Shape         Shape
	Source        string // of a sink: the fabric address of the source
	Listen        string // fabric address; "" is a free port of 127.0.0.1
	Recovery      Recovery
	MayMiss       bool // of a sink: missing packets are told, and no fault
}

// Recovery is what is done about loss on the way; see the fabric.
type Recovery = fabric.Recovery

// RecoveryNamed finds a way by its name.
func RecoveryNamed(name string) (Recovery, error) {
	return fabric.RecoveryNamed(name) //nolint:wrapcheck // it says what is wrong
}

// Validate reports every fault but those of the certificates.
func (c *Config) Validate() error {
	var faults []error
	if c.Role != RoleSource && c.Role != RoleSink {
		faults = append(faults, fmt.Errorf("relayend: role %q is neither %q nor %q", c.Role, RoleSource, RoleSink))
	}
	if c.Streams < 1 || c.Streams > MaxStreams {
		faults = append(faults, fmt.Errorf("relayend: %d streams are not in 1..%d", c.Streams, MaxStreams))
	}
	return errors.Join(append(faults, c.Shape.Validate())...)
}

// NewConfigs gives both ends certificates of a new CA. The sink's Source is
// known once the source runs.
func NewConfigs(streams int, shape Shape, now time.Time) (source, sink *Config, err error) {
	ca, err := pki.NewCA(now)
	if err != nil {
		return nil, nil, fmt.Errorf("relayend: %w", err)
	}
	source = &Config{Role: RoleSource, CA: ca.CertPEM(), Streams: streams, Shape: shape}
	sink = &Config{Role: RoleSink, CA: ca.CertPEM(), Streams: streams, Shape: shape}
	source.Cert, source.Key, err = ca.Issue(sourceName, []string{pki.RoleOrigin}, now)
	if err == nil {
		sink.Cert, sink.Key, err = ca.Issue(sinkName, []string{pki.RoleEdge}, now)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("relayend: %w", err)
	}
	return source, sink, nil
}

// Action is what an end is asked to do.
type Action string

// The actions. An end answers each when it is done.
const (
	ActOpen    Action = "open"    // sink: pull the first N streams; done when all have come
	ActUsage   Action = "usage"   // what was used and carried so far
	ActMemory  Action = "memory"  // collect garbage and tell what is held
	ActWatch   Action = "watch"   // sink: measure the delay of each packet from now on
	ActDelay   Action = "delay"   // sink: stop that and tell the delays
	ActSent    Action = "sent"    // source: tell how many packets each stream has had
	ActVerify  Action = "verify"  // sink: wait until all of Sent has come, and tell what came
	ActProfile Action = "profile" // write a CPU profile to Path from now on; with no Path, end it
)

// Request asks an end for something.
type Request struct {
	Do   Action
	N    int      `json:",omitempty"`
	Path string   `json:",omitempty"`
	Sent []uint64 `json:",omitempty"` // packets of each stream
}

// Reply is an end's answer; which fields it has depends on the request.
type Reply struct {
	Error  string   `json:",omitempty"` // why the run is worth nothing
	Addr   string   `json:",omitempty"` // of the source's fabric
	Usage  Usage    `json:",omitzero"`
	Memory Memory   `json:",omitzero"`
	Delay  Delay    `json:",omitzero"`
	Sent   []uint64 `json:",omitempty"`
	Got    Got      `json:",omitzero"`
}

// Usage is what an end has used and carried since it began. CPU has both user
// and system time, and not what the sink spends on checking; see Check.
type Usage struct {
	CPU, System, Check time.Duration
	Packets, Bytes     int64 // that the source made, or the sink has got; bytes of packet bodies
}

// Memory is what an end holds, in bytes.
type Memory struct {
	RSS          int64 // before garbage was collected
	Heap, Stacks int64 // in use after that
	Logs         int64 // of the heap: the packets of all streams
	Goroutines   int
}

// Delay is the time from the source's hub to the sink's.
type Delay struct {
	P50, P90, P99, Max time.Duration
	Packets            int64
}

// Got is what a sink has got, every packet checked.
type Got struct {
	Packets, Bytes int64
	// Missing are packets that came neither in order nor by the end, each behind
	// the first of its stream that came. MissingRuns are the first maxGaps runs of them.
	Missing     int64
	MissingRuns []Gap `json:",omitempty"`
}

// Gap is a run of packets of a stream, by number: From and those before To.
type Gap struct {
	Stream   int
	From, To uint64
}

// maxGaps bounds what a sink tells of missing packets, for each stream.
const maxGaps = 100
