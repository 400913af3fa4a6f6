package state

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"tmms/media"
)

// Restore brings back what a backup has and the cluster has not. The backup is an
// earlier [State.Snapshot] of this cluster, or of one that was lost:
//
//   - its newest config comes in force, as the next revision, unless it is in force
//     already; a state that never had a config takes the whole history;
//   - a stream that is placed now keeps its placement, whatever the backup says: it
//     goes on. One that only the backup has becomes an orphan with its T0;
//   - certificates that either of the two has revoked are revoked;
//   - the nodes of another cluster, and their drains, come back, but for those
//     whose name is here or revoked; those of this cluster are known better now;
//   - the feature level is the higher one; join tokens of the backup stay out, for
//     one may have been revoked since;
//   - epochs go on above both, see [State.BumpEpochs].
//
// The cluster's id stays. The result is a [RestoreResult] or [ErrNotInitialized].
// A backup that this version does not understand stops the applier, as a command
// does: whoever proposes it has it checked by [Restore.Open].
type Restore struct {
	AtUnixMS int64  `json:"at_unix_ms"`
	By       string `json:"by,omitempty"` // who asked for it
	Backup   []byte `json:"backup"`       // a snapshot, deflated (RFC 1951); holds hashes of publish keys
}

// RestoreResult says what a [Restore] has brought.
type RestoreResult struct {
	Revision    uint64 `json:"revision"`    // of the config in force
	Changed     bool   `json:"changed"`     // it is another one than before
	Revisions   int    `json:"revisions"`   // that were brought
	Streams     int    `json:"streams"`     // that wait for a claim
	Nodes       int    `json:"nodes"`       // that were not known
	Revocations int    `json:"revocations"` // in force now
	Level       int    `json:"level"`
	Epoch       uint64 `json:"epoch"` // no epoch up to this one is given from now on
}

func (Restore) commandType() string { return "restore" }

// NewRestore makes the command of a snapshot. If it would be longer than limit
// bytes in the log, placements are left out first, then old revisions; whole says
// that nothing was.
func NewRestore(snapshot []byte, limit int) (c Restore, whole bool, err error) {
	im, err := readSnapshot(snapshot)
	if err != nil {
		return c, false, err
	}
	if _, err = im.state(); err != nil {
		return c, false, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	for whole = true; ; whole = false {
		packed, err := im.pack()
		if err != nil {
			return c, false, err
		}
		n := base64.StdEncoding.EncodedLen(len(packed))
		switch {
		case n <= limit:
			return Restore{Backup: packed}, whole, nil
		case len(im.Placements) > 0:
			im.Placements = nil
		case len(im.History) > 1:
			im.History = im.History[(len(im.History)+1)/2:]
		default:
			return c, false, fmt.Errorf("%w: its config alone takes %d bytes, the limit is %d", ErrSnapshot, n, limit)
		}
	}
}

// pack is the snapshot of the image, deflated.
func (im image) pack() ([]byte, error) {
	body, err := json.Marshal(im)
	if err != nil {
		return nil, fmt.Errorf("state: backup: %w", err)
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = w.Write(sealSnapshot(im.version(), body))
	}
	if err == nil {
		err = w.Close()
	}
	return packed.Bytes(), err
}

// Open gives the state of the backup, or why there is none: an error that wraps
// [ErrSnapshot].
func (c Restore) Open() (*State, error) {
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(c.Backup)), media.MaxBackupBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if len(b) > media.MaxBackupBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrSnapshot, media.MaxBackupBytes)
	}
	s := New()
	return s, s.Restore(b)
}

func (c Restore) apply(s *State) (any, error) {
	if !s.Initialized() {
		return ErrNotInitialized, nil
	}
	b, err := c.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: restore: %w", ErrUnknownCommand, err)
	}
	before := s.config.Revision()
	revisions, err := s.restoreConfig(b, c)
	if err != nil {
		return nil, fmt.Errorf("%w: restore: %w", ErrUnknownCommand, err)
	}
	s.restoreRevocations(b, c.AtUnixMS)
	r := RestoreResult{
		Revision: s.config.Revision(), Changed: s.config.Revision() != before, Revisions: revisions,
		Streams: s.restorePlacements(b, c.AtUnixMS), Nodes: s.restoreNodes(b), Revocations: s.revoked.Len(),
	}
	s.level, s.epoch = max(s.level, b.level), max(s.epoch, b.epoch)
	s.BumpEpochs(c.AtUnixMS / 1000)
	r.Level, r.Epoch = s.level, s.epoch
	return r, nil
}

// restoreConfig gives the number of revisions that were brought.
func (s *State) restoreConfig(b *State, c Restore) (int, error) {
	if len(s.history) == 0 {
		s.history, s.config = b.history, b.config
		return len(b.history), nil
	}
	if len(b.history) == 0 {
		return 0, nil
	}
	last := b.history[len(b.history)-1]
	if bytes.Equal(s.history[len(s.history)-1].Config, last.Config) {
		return 0, nil
	}
	doc, err := last.Document()
	if err != nil {
		return 0, err
	}
	cfg, err := NewConfig(s.config.Revision()+1, doc)
	if err != nil {
		return 0, err
	}
	s.config = cfg
	s.history = append(s.history, Revision{Number: cfg.revision, AtUnixMS: c.AtUnixMS, By: c.By, Config: last.Config})
	s.trimHistory()
	return 1, nil
}

// restorePlacements makes orphans of the streams that nobody has now, and gives
// their number.
func (s *State) restorePlacements(b *State, atUnixMS int64) (brought int) {
	for key, p := range b.placements {
		if _, placed := s.placements[key]; placed {
			continue
		}
		if !p.Orphan() {
			p.Owner, p.LostBy, p.LostAtMS = "", p.Owner, atUnixMS
		}
		p.Standby, p.InSync = "", false
		s.placements[key] = p
		brought++
	}
	return brought
}

// restoreRevocations joins both lists, but for what has ended by then.
func (s *State) restoreRevocations(b *State, atUnixMS int64) {
	both := map[Revocation]Revocation{} // by what is revoked
	for _, r := range append(s.revoked.All()[:s.revoked.Len():s.revoked.Len()], b.revoked.All()...) {
		what := Revocation{Node: r.Node, Serial: r.Serial}
		old, known := both[what]
		if known {
			old.AtUnixMS, old.UntilUnixMS = max(old.AtUnixMS, r.AtUnixMS), max(old.UntilUnixMS, r.UntilUnixMS)
			r = old
		}
		both[what] = r
	}
	list := make([]Revocation, 0, len(both))
	for _, r := range both {
		if r.UntilUnixMS > atUnixMS {
			list = append(list, r)
		}
	}
	if joined := NewRevocations(list); joined.Len() > 0 || s.revoked.Len() > 0 {
		s.revoked = joined
	}
}

// restoreNodes takes the nodes of another cluster, and gives their number.
func (s *State) restoreNodes(b *State) (brought int) {
	if b.clusterID == s.clusterID {
		return 0
	}
	taken := map[string]bool{}
	for _, n := range s.nodes {
		taken[n.Name] = true
	}
	for _, r := range s.revoked.All() {
		taken[r.Node] = true
	}
	for id, n := range b.nodes {
		if _, known := s.nodes[id]; known || taken[n.Name] {
			continue
		}
		s.nodes[id] = n
		if d, drains := b.drains[id]; drains {
			s.drains[id] = d
		}
		brought++
	}
	return brought
}
