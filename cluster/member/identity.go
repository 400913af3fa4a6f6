package member

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tmms/media"
)

// idFile holds the node's id, in its data folder.
const idFile = "node.id"

// Identity gives the node's id: the one in the data folder, which is made and
// given an id if it has none. want is that id, or refuses a folder with another
// one; if it is empty, an id is minted. Without a folder the id is a new one.
func Identity(dataDir, want string) (string, error) {
	if dataDir == "" {
		return orMinted(want), nil
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return "", fmt.Errorf("data folder %s cannot be made: %w", dataDir, err)
	}
	path := filepath.Join(dataDir, idFile)
	b, err := os.ReadFile(path)
	if err == nil {
		return checkIdentity(path, strings.TrimSpace(string(b)), want)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("data folder %s cannot be read: %w", dataDir, err)
	}
	id := orMinted(want)
	if err := writeFileSync(path, []byte(id+"\n")); err != nil {
		return "", fmt.Errorf("data folder %s cannot be written: %w", dataDir, err)
	}
	return id, nil
}

func checkIdentity(path, found, wanted string) (string, error) {
	if found == "" || len(found) > media.MaxName {
		return "", fmt.Errorf("%s holds no node id", path)
	}
	if wanted != "" && wanted != found {
		return "", fmt.Errorf("%s belongs to node %s, not to %s", path, found, wanted)
	}
	return found, nil
}

// writeFileSync writes a small file so that it is whole or not there.
func writeFileSync(path string, b []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func orMinted(id string) string {
	if id != "" {
		return id
	}
	return NewUUID()
}

// NewUUID gives a random UUID (RFC 9562 section 5.4).
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
