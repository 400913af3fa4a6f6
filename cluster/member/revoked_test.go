package member

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tmms/cluster/state"
)

func TestRevocationsOnDisk(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"", dir} {
		if list, err := LoadRevocations(folder); err != nil || list.Len() != 0 {
			t.Errorf("%q before: %v, %v", folder, list, err)
		}
	}
	want := []state.Revocation{{Serial: "5f", AtUnixMS: 1, UntilUnixMS: 2}, {Node: "n", AtUnixMS: 3, UntilUnixMS: 4, By: "ops"}}
	for _, folder := range []string{"", dir} {
		if err := SaveRevocations(folder, state.NewRevocations(want)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := LoadRevocations(dir)
	if err != nil || !slices.Equal(list.All(), want) {
		t.Errorf("%+v, %v", list, err)
	}
	path := filepath.Join(dir, revokedFile)
	if info, bad := os.Stat(path); bad != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, bad)
	}
	for name, text := range map[string][]byte{"text": []byte("x"), "cut": []byte(`[{"node":"n"`), "long": bytes.Repeat([]byte(" "), maxRevoked+1)} {
		if err = os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err = LoadRevocations(dir); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if err = SaveRevocations(filepath.Join(dir, "nowhere"), list); err == nil {
		t.Error("it was saved where there is no folder")
	}
}
