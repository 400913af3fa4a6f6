package viewer

import (
	"net/netip"
	"time"

	"tmms/media"
)

// Near knows the nodes of the cluster that clients may be sent to. Its methods never
// block, and are called on loops and on any goroutine.
type Near interface {
	// Nearest gives the nodes that a client is to go to, the best one first.
	Nearest(q NearQuery) NearAnswer
	// Elsewhere names the address, HOST:PORT, of another node where a viewer is better
	// off than here, if this node is to send such viewers on; "": it stays.
	Elsewhere(v Visitor) string
}

// NearQuery is what a client asks for.
type NearQuery struct {
	From   netip.Addr      // who asks
	Region string          // where it says that it is; "": by From
	Origin bool            // a node that takes publishers, else one that serves viewers
	Stream media.StreamKey // the zero value: none in particular
	Count  int             // nodes at most
}

// How the region of a client is known.
const (
	ByParameter = "parameter" // it says so itself
	ByNetwork   = "network"   // by its address
	ByNode      = "node"      // it is that of the node that it has come to
)

// NearAnswer is where a client is, and where it is to go.
type NearAnswer struct {
	Region string
	How    string
	Nodes  []NearNode
}

// NearNode is a node that clients may be sent to.
type NearNode struct {
	ID, Name, Region, Zone string

	Self bool
	Load uint8         // 0 idle to 255 full
	RTT  time.Duration // from the client's region; 0: not known
	// Addresses are HOST:PORT by "rtmp", "rtmps", "http" and "https", without those
	// that are off; over TLS only those with a name. It is not to be changed.
	Addresses map[string]string
}

// Visitor is a viewer who comes.
type Visitor struct {
	From   netip.Addr
	Stream media.StreamKey
	Kind   string // of the address that it can go to, as NearNode has them
	// Refused: there is no place for it here, whatever the node's policy is.
	Refused bool
}
