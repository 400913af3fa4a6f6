package nodeconfig

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// SaveGossipKeys writes a file that LoadGossipKeys reads: whole or not at all,
// and for its owner alone. Where path is a symbolic link the file that it names
// is replaced. Comments in the former file are lost.
func SaveGossipKeys(path string, keys [][]byte) error {
	if err := saveGossipKeys(path, keys); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func saveGossipKeys(path string, keys [][]byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return cause(err)
	}
	var text []byte
	for _, k := range keys {
		text = append(base64.StdEncoding.AppendEncode(text, k), '\n')
	}
	return replaceFile(path, text)
}

// WriteSecret writes a file for its owner alone: whole or not at all, in a folder that is
// made if it is missing.
func WriteSecret(path string, text []byte) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = replaceFile(path, text)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replaceFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, ".tmms-*") // 0600
	if err != nil {
		return cause(err)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err = os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in a folder outlast a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return cause(err)
	}
	return errors.Join(d.Sync(), d.Close())
}
