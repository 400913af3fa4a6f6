package nodeconfig

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSaveGossipKeys(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real", "gossip.key"), filepath.Join(dir, "gossip.key")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("# the first\nAAAAAAAAAAAAAAAAAAAAAA==\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{bytes.Repeat([]byte{1}, 32), make([]byte, 16)}
	if err := SaveGossipKeys(link, keys); err != nil {
		t.Fatal(err)
	}
	got, err := LoadGossipKeys(file)
	if err != nil || !reflect.DeepEqual(got, keys) {
		t.Errorf("got %x, %v", got, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err = os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	list, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(list) != 1 {
		t.Errorf("there are %v, %v", list, err)
	}

	if err = os.RemoveAll(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	if err = SaveGossipKeys(link, keys); err == nil || !strings.HasPrefix(err.Error(), "write "+link+": ") {
		t.Errorf("without the folder: %v", err)
	}
}
