package gossip

import (
	"errors"
	"fmt"
	"slices"

	"tmms/media"
)

// Meta is what a node says of itself. The name is memberlist's own, the rest is
// encoded.
type Meta struct {
	ID      string   // a UUID, at most media.MaxNodeID bytes
	Name    string   // as in its certificate: 1 to media.MaxNodeName of a-z, 0-9 and '-'
	Roles   []string // "origin", "edge"; at least one
	Region  string   // at most media.MaxPlace bytes
	Zone    string   // at most media.MaxPlace bytes
	Version string   // cut to media.MaxNodeVersion bytes: for the eye only
	Addrs   Addrs
	Load    uint8 // 0 idle .. 255 full
	// Cluster tells clusters apart, see [Gossip.SetCluster]; "" is not known yet.
	Cluster string
}

// Addrs are where a node is reached, as HOST:PORT of at most
// media.MaxNodeAddress bytes each; "" is off.
type Addrs struct {
	Fabric, RTMP, HTTP, Admin string
}

// maxMeta is memberlist's bound; it panics above it.
const maxMeta = 512

// Encoded form, texts with a length byte each, bytes after the last are a later
// version's and are ignored:
//
//	0       1       2       3
//	+-------+-------+-------+------------------------------------------------------------+
//	| 1     | roles | load  | flags | id | region | zone | version | fabric | rtmp | http | admin | cluster
//	+-------+-------+-------+------------------------------------------------------------+
//
// roles: bit 0 origin, bit 1 edge. flags: bit 0 the node is leaving.
// The cluster is not there in what earlier releases send.
const (
	metaVersion = 1
	metaHead    = 4
	flagLeaving = 1
)

// maxEncoded is the most that Meta takes: the compiler holds it to maxMeta.
const maxEncoded = metaHead + (1 + media.MaxNodeID) + 2*(1+media.MaxPlace) + (1 + media.MaxNodeVersion) +
	4*(1+media.MaxNodeAddress) + (1 + clusterTag)

const _ = uint(maxMeta - maxEncoded)

// The errors of a Meta that came from another node.
var (
	errMetaShort   = errors.New("meta is cut short")
	errMetaVersion = errors.New("meta has an unknown version")
	errMetaValue   = errors.New("meta has a value that is not allowed")
)

func roleBits() []string { return []string{"origin", "edge"} }

// field is a text of a Meta with its bound in bytes.
type field struct {
	name  string
	value *string
	limit int
}

// fields in the order of the encoding.
func (m *Meta) fields() []field {
	return []field{
		{"id", &m.ID, media.MaxNodeID},
		{"region", &m.Region, media.MaxPlace},
		{"zone", &m.Zone, media.MaxPlace},
		{"version", &m.Version, media.MaxNodeVersion},
		{"fabric address", &m.Addrs.Fabric, media.MaxNodeAddress},
		{"rtmp address", &m.Addrs.RTMP, media.MaxNodeAddress},
		{"http address", &m.Addrs.HTTP, media.MaxNodeAddress},
		{"admin address", &m.Addrs.Admin, media.MaxNodeAddress},
		{"cluster", &m.Cluster, clusterTag},
	}
}

// validate finds every fault of a Meta.
func (m *Meta) validate() error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf("gossip: "+format, args...)) }
	if !validName(m.Name) {
		add("name %.80q, want 1 to %d of a-z, 0-9 and '-'", m.Name, media.MaxNodeName)
	}
	if m.ID == "" {
		add("no id")
	}
	if len(m.Roles) == 0 {
		add("no roles")
	}
	for i, r := range m.Roles {
		if !slices.Contains(roleBits(), r) || slices.Contains(m.Roles[:i], r) {
			add("role %q, want each of %v at most once", r, roleBits())
		}
	}
	for _, f := range m.fields() {
		if len(*f.value) > f.limit {
			add("%s %.80q has %d bytes, the limit is %d", f.name, *f.value, len(*f.value), f.limit)
		} else if !printable(*f.value) {
			add("%s %.80q has bytes that are not printable ASCII", f.name, *f.value)
		}
	}
	return errors.Join(faults...)
}

func validName(s string) bool {
	if s == "" || len(s) > media.MaxNodeName {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// appendMeta encodes a valid Meta, without its name.
func appendMeta(b []byte, m *Meta, flags byte) []byte {
	var roles byte
	for i, r := range roleBits() {
		if slices.Contains(m.Roles, r) {
			roles |= 1 << i
		}
	}
	b = append(b, metaVersion, roles, m.Load, flags)
	for _, f := range m.fields() {
		b = append(b, byte(len(*f.value)))
		b = append(b, *f.value...)
	}
	return b
}

// parseMeta decodes what another node sent under that name. The result holds no
// reference to b.
func parseMeta(name string, b []byte) (m Meta, flags byte, err error) {
	switch {
	case len(b) < metaHead:
		return Meta{}, 0, errMetaShort
	case b[0] != metaVersion:
		return Meta{}, 0, fmt.Errorf("%w: %d, want %d", errMetaVersion, b[0], metaVersion)
	}
	m.Name, m.Load, flags = name, b[2], b[3]
	for i, r := range roleBits() {
		if b[1]&(1<<i) != 0 {
			m.Roles = append(m.Roles, r)
		}
	}
	b = b[metaHead:]
	for _, f := range m.fields() {
		if len(b) == 0 && f.value == &m.Cluster {
			break // of an earlier release
		}
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return Meta{}, 0, errMetaShort
		}
		n := int(b[0])
		*f.value, b = string(b[1:1+n]), b[1+n:]
	}
	if err := m.validate(); err != nil {
		return Meta{}, 0, fmt.Errorf("%w: %w", errMetaValue, err)
	}
	return m, flags, nil
}
