package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tmms/media"
)

var (
	// ErrSnapshot is wrapped by every error that refuses a snapshot.
	ErrSnapshot = errors.New("bad snapshot")
	// ErrNewer refuses a snapshot that is sound, but of a later release's version;
	// what refuses it wraps [ErrSnapshot] too.
	ErrNewer = errors.New("made by a later release")
)

// A snapshot:
//
//	offset  bytes
//	0       8   "TMMSSNAP"
//	8       4   version, big endian
//	12      8   length of the image, big endian
//	20      32  SHA-256 of the image
//	52          the image: JSON with everything in a fixed order
const (
	snapshotMagic    = "TMMSSNAP"
	snapshotTokens   = 5 // has join tokens, or nodes that sign others
	snapshotStandbys = 4 // has standbys in sync, drains and a feature level
	snapshotRevoked  = 3 // has revocations
	// A snapshot is of the oldest version that can say it, so that former releases read it.
	snapshotPlain  = 2 // has orphans
	snapshotOldest = 1
	snapshotHead   = 52
)

// image is the state as JSON; lists are sorted, so equal states have equal bytes.
type image struct {
	Index      uint64        `json:"index"`
	ClusterID  string        `json:"cluster_id"`
	Epoch      uint64        `json:"epoch"`
	History    []Revision    `json:"history"`
	Placements []placedImage `json:"placements"`
	Nodes      []Node        `json:"nodes"`
	// What follows is left out if there is none; see snapshotPlain.
	Revocations []Revocation `json:"revocations,omitempty"`
	Drains      []Drain      `json:"drains,omitempty"`
	Level       int          `json:"level,omitempty"`
	Tokens      []JoinToken  `json:"tokens,omitempty"`
	later
}

type placedImage struct {
	Key Key `json:"key"`
	Placement
}

func (s *State) image() image {
	im := image{
		Index: s.index, ClusterID: s.clusterID, Epoch: s.epoch, History: s.History(), Nodes: s.Nodes(),
		Revocations: s.revoked.list, Drains: s.Drains(), Level: s.level, later: s.later,
		Tokens: s.JoinTokens(),
	}
	for _, p := range s.Placements() {
		im.Placements = append(im.Placements, placedImage{Key: Key(p.Key), Placement: p.Placement})
	}
	return im
}

// Snapshot gives the whole state as bytes that [State.Restore] takes. Equal
// states give equal bytes. A stopped state has no snapshot: it would hide the
// command that stopped it.
func (s *State) Snapshot() ([]byte, error) {
	c, err := s.Capture()
	if err != nil {
		return nil, err
	}
	return c.Encode()
}

// Capture is a state at one moment, which does not change with it.
type Capture struct{ im image }

// Capture notes what is in the state, which takes little time beside encoding it.
func (s *State) Capture() (Capture, error) {
	if s.stopped != nil {
		return Capture{}, s.stopped
	}
	return Capture{s.image()}, nil
}

// Index is that of the state.
func (c Capture) Index() uint64 { return c.im.Index }

// Encode gives the [State.Snapshot] of that moment; from any goroutine.
func (c Capture) Encode() ([]byte, error) {
	body, err := json.Marshal(c.im)
	if err != nil {
		return nil, fmt.Errorf("state: snapshot: %w", err)
	}
	return sealSnapshot(c.im.version(), body), nil
}

// version is the oldest that can say all of the image.
func (im image) version() uint32 {
	latest := len(im.Drains) > 0 || im.Level > 0
	latest = latest || slices.ContainsFunc(im.Placements, func(p placedImage) bool { return p.Standby != "" || p.InSync })
	latest = latest || slices.ContainsFunc(im.Nodes, func(n Node) bool { return n.Level > 0 })
	switch {
	case im.later != (later{}):
		return snapshotVersion
	case len(im.Tokens) > 0, slices.ContainsFunc(im.Nodes, func(n Node) bool { return n.Issues }):
		return snapshotTokens
	case latest:
		return snapshotStandbys
	case len(im.Revocations) > 0:
		return snapshotRevoked
	}
	return snapshotPlain
}

func sealSnapshot(version uint32, body []byte) []byte {
	sum := sha256.Sum256(body)
	b := make([]byte, 0, snapshotHead+len(body))
	b = append(b, snapshotMagic...)
	b = binary.BigEndian.AppendUint32(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(len(body)))
	b = append(b, sum[:]...)
	return append(b, body...)
}

// Restore replaces the state by a snapshot, or leaves it unchanged and returns
// an error that wraps [ErrSnapshot].
func (s *State) Restore(b []byte) error {
	im, err := readSnapshot(b)
	if err != nil {
		return err
	}
	restored, err := im.state()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	*s = *restored
	return nil
}

func readSnapshot(b []byte) (im image, err error) {
	body, err := checkSnapshot(b)
	if err != nil {
		return im, err
	}
	if err = strictJSON(body, &im); err != nil {
		return im, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return im, nil
}

func checkSnapshot(b []byte) (body []byte, err error) {
	if len(b) < snapshotHead || !bytes.HasPrefix(b, []byte(snapshotMagic)) {
		return nil, fmt.Errorf("%w: %d bytes that do not start with %s", ErrSnapshot, len(b), snapshotMagic)
	}
	body = b[snapshotHead:]
	if n := binary.BigEndian.Uint64(b[12:]); n != uint64(len(body)) {
		return nil, fmt.Errorf("%w: says %d bytes, has %d", ErrSnapshot, n, len(body))
	}
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[20:snapshotHead]) {
		return nil, fmt.Errorf("%w: the checksum does not match", ErrSnapshot)
	}
	switch v := binary.BigEndian.Uint32(b[8:]); { // after the rest: what is sound is not damaged
	case v < snapshotOldest:
		return nil, fmt.Errorf("%w: version %d, the oldest is %d", ErrSnapshot, v, snapshotOldest)
	case v > snapshotVersion:
		return nil, fmt.Errorf("%w: %w: version %d, this node knows %d to %d",
			ErrSnapshot, ErrNewer, v, snapshotOldest, snapshotVersion)
	}
	return body, nil
}

func (im image) state() (*State, error) {
	s := New()
	s.index, s.clusterID, s.epoch, s.history = im.Index, im.ClusterID, im.Epoch, im.History
	for _, p := range im.Placements {
		s.placements[media.StreamKey(p.Key)] = p.Placement
	}
	for _, n := range im.Nodes {
		s.nodes[n.ID] = n
	}
	for _, d := range im.Drains {
		s.drains[d.Node] = d
	}
	for _, t := range im.Tokens {
		s.tokens[t.ID] = t
	}
	s.level, s.later = im.Level, im.later
	if !slices.IsSortedFunc(im.Revocations, compareRevocations) {
		return nil, errors.New("the revocations are out of order")
	}
	s.revoked = &Revocations{im.Revocations}
	if len(s.history) == 0 {
		return s, nil
	}
	last := s.history[len(s.history)-1]
	doc, err := last.Document()
	if err != nil {
		return nil, err
	}
	s.config, err = NewConfig(last.Number, doc)
	return s, err
}
