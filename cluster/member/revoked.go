package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tmms/cluster/state"
	"tmms/media"
)

// revokedFile holds the revocations in a node's data folder: a node that starts
// knows no state yet, and must not learn it from one that was taken out.
const revokedFile = "revoked.json"

// maxRevoked bounds that file, in bytes.
const maxRevoked = media.MaxRevocations * 512

// LoadRevocations gives the revocations that a data folder remembers; none without
// a folder, or before any was saved there.
func LoadRevocations(dataDir string) (*state.Revocations, error) {
	none := &state.Revocations{}
	if dataDir == "" {
		return none, nil
	}
	path := filepath.Join(dataDir, revokedFile)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return nil, fmt.Errorf("revocations: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxRevoked+1))
	if err == nil && len(b) > maxRevoked {
		err = fmt.Errorf("more than %d bytes", maxRevoked)
	}
	var list []state.Revocation
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("revocations: %s: %w; without the file the node learns them from the cluster", path, err)
	}
	return state.NewRevocations(list), nil
}

// SaveRevocations puts the revocations into a data folder, which is there; without
// one it does nothing.
func SaveRevocations(dataDir string, list *state.Revocations) error {
	if dataDir == "" {
		return nil
	}
	b, err := json.Marshal(list.All())
	if err == nil {
		err = writeFileSync(filepath.Join(dataDir, revokedFile), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("revocations: %w", err)
	}
	return nil
}
