package host

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRelease makes the release of the last commit twice, the second time in another
// folder, with caches, a time zone and a umask of its own, and looks into every file.
func TestRelease(t *testing.T) {
	if !*full {
		return
	}
	first := dist(t)
	top := t.TempDir()
	second := filepath.Join(top, "in/another/folder")
	if err := os.MkdirAll(filepath.Dir(second), 0o755); err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(top, "modules") // another name of the same ones: a path may get into a binary
	if err := os.Symlink(strings.TrimSpace(command(t, "go", "env", "GOMODCACHE")), modules); err != nil {
		t.Fatal(err)
	}
	env := []string{"GOCACHE=" + filepath.Join(top, "cache"), "GOMODCACHE=" + modules, "TZ=Asia/Tokyo"}
	if err := release(filepath.Dir(first), second, env); err != nil {
		t.Fatal(err)
	}
	t.Run("the same bytes", func(t *testing.T) { sameBytes(t, first, filepath.Join(second, "dist")) })
	t.Run("sums", func(t *testing.T) { checkSums(t, first) })
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			tree := t.TempDir()
			t.Run("archive", func(t *testing.T) { checkArchive(t, arch, tree) })
			t.Run("package", func(t *testing.T) { checkDebian(t, arch) })
			for _, name := range []string{"tmms", "tmms-bench"} {
				t.Run(name, func(t *testing.T) { checkBinary(t, filepath.Join(tree, name), arch) })
			}
			t.Run("bill", func(t *testing.T) { checkBill(t, arch, filepath.Join(tree, "tmms")) })
		})
	}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func sameBytes(t *testing.T, first, second string) {
	t.Helper()
	got, want := names(t, second), names(t, first)
	if !slices.Equal(got, want) || len(got) != 7 {
		t.Fatalf("%d files %q, want those of the first, 7: %q", len(got), got, want)
	}
	for _, name := range want {
		if read(t, filepath.Join(first, name)) != read(t, filepath.Join(second, name)) {
			t.Errorf("%s differs", name)
		}
	}
}

// checkSums holds SHA256SUMS to the files: each once, and no other.
func checkSums(t *testing.T, dir string) {
	t.Helper()
	var want strings.Builder
	for _, name := range names(t, dir) {
		if name != "SHA256SUMS" {
			fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256([]byte(read(t, filepath.Join(dir, name)))), name)
		}
	}
	if got := read(t, filepath.Join(dir, "SHA256SUMS")); got != want.String() {
		t.Errorf("got\n%swant\n%s", got, want.String())
	}
}

// committed is the time of the commit that is released.
func committed(t *testing.T) time.Time {
	t.Helper()
	s, err := strconv.ParseInt(strings.TrimSpace(command(t, "git", "-C", filepath.Dir(dist(t)), "log", "-1", "--format=%ct")), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(s, 0)
}

// entries reads a tar whole: modes by name, and the contents. All is root's, and of the
// time of the commit.
func entries(t *testing.T, r io.Reader) (modes map[string]string, contents map[string][]byte) {
	t.Helper()
	modes, contents = map[string]string{}, map[string][]byte{}
	when := committed(t)
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return modes, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" && h.Uname != "root" || h.Gname != "" && h.Gname != "root" {
			t.Errorf("%s: of %d:%d %q %q, want root", h.Name, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		if !h.ModTime.Equal(when) {
			t.Errorf("%s: of %v, want %v", h.Name, h.ModTime, when)
		}
		name := strings.TrimPrefix(h.Name, ".")
		modes[name] = fmt.Sprintf("%04o", h.Mode)
		if contents[name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: %s has mode %q, want %q", what, name, got[name], want[name])
		}
	}
	for name := range got {
		if want[name] == "" {
			t.Errorf("%s: %s is too much", what, name)
		}
	}
}

// checkArchive holds an archive to its list, and unpacks its binaries.
func checkArchive(t *testing.T, arch, tree string) {
	t.Helper()
	path := one(t, "tmms-*-linux-"+arch+".tar.gz")
	z, err := gzip.NewReader(strings.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" {
		t.Errorf("gzip has time %v and name %q, want none", z.ModTime, z.Name)
	}
	modes, contents := entries(t, z)
	top := strings.TrimSuffix(filepath.Base(path), ".tar.gz") + "/"
	want := map[string]string{
		top: "0755", top + "tmms": "0755", top + "tmms-bench": "0755",
		top + "LICENSE": "0644", top + "README.md": "0644", top + "CHANGELOG.md": "0644",
		top + "samples/": "0755", top + "samples/node.yaml": "0644", top + "samples/domains.yaml": "0644",
		top + "systemd/": "0755", top + "systemd/tmms.service": "0644", top + "systemd/60-tmms.conf": "0644",
	}
	same(t, filepath.Base(path), modes, want)
	for _, name := range []string{"systemd/tmms.service", "systemd/60-tmms.conf"} {
		if !bytes.Equal(contents[top+name], []byte(read(t, "../"+name))) {
			t.Errorf("%s is not that of deploy/systemd", name)
		}
	}
	for _, name := range []string{"tmms", "tmms-bench"} {
		if err := os.WriteFile(filepath.Join(tree, name), contents[top+name], 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// checkDebian holds a package to its list.
func checkDebian(t *testing.T, arch string) {
	t.Helper()
	path := one(t, "tmms_*_"+arch+".deb")
	out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--fsys-tarfile", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	modes, contents := entries(t, bytes.NewReader(out))
	maps.DeleteFunc(modes, func(name, _ string) bool { return strings.HasSuffix(name, "/") && name != "/etc/tmms/" })
	const doc = "/usr/share/doc/tmms/"
	same(t, filepath.Base(path), modes, map[string]string{
		"/usr/bin/tmms": "0755", "/etc/tmms/": "0755", "/etc/default/tmms": "0644",
		"/usr/lib/systemd/system/tmms.service": "0644", "/usr/lib/sysctl.d/60-tmms.conf": "0644",
		doc + "copyright": "0644", doc + "changelog.gz": "0644", doc + "operations.md": "0644", doc + "config.md": "0644",
		doc + "examples/node.yaml": "0644", doc + "examples/domains.yaml": "0644",
	})
	unit := strings.ReplaceAll(read(t, "../systemd/tmms.service"), "/usr/local/bin/tmms", "/usr/bin/tmms")
	if string(contents["/usr/lib/systemd/system/tmms.service"]) != unit {
		t.Error("the unit is not that of deploy/systemd with the package's path")
	}
	for field, want := range map[string]string{"Package": "tmms", "Architecture": arch} {
		if got := strings.TrimSpace(command(t, "dpkg-deb", "-f", path, field)); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if got := command(t, "dpkg-deb", "-I", path, "conffiles"); got != "/etc/default/tmms\n" {
		t.Errorf("conffiles are %q", got)
	}
}

// checkBinary looks for what a binary needs of its host: nothing. The one for this
// machine is run.
func checkBinary(t *testing.T, path, arch string) {
	t.Helper()
	f, err := elf.NewFile(strings.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; f.Machine != want {
		t.Errorf("for %v, want %v", f.Machine, want)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("a segment of type %v: it is not static", p.Type)
		}
	}
	if arch != runtime.GOARCH || filepath.Base(path) != "tmms" {
		return
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := command(t, path, "version"); !strings.Contains(got, info.Main.Version) || !strings.HasPrefix(info.Main.Version, "v") {
		t.Errorf("tmms version says %q, the binary is %q", got, info.Main.Version)
	}
}

// bill is what is looked at in a bill of materials (CycloneDX 1.6).
type bill struct {
	Format   string `json:"bomFormat"`
	Spec     string `json:"specVersion"`
	Metadata struct {
		Component struct{ Name, Version string }
	}
	Components []struct{ Type, Name, Version, PURL string }
}

// checkBill holds the bill to the modules that are linked into the binary, and these to
// go.mod.
func checkBill(t *testing.T, arch, binary string) {
	t.Helper()
	var b bill
	if err := json.Unmarshal([]byte(read(t, one(t, "tmms-*-linux-"+arch+".cdx.json"))), &b); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if b.Format != "CycloneDX" || b.Spec != "1.6" || b.Metadata.Component.Name != "tmms" || b.Metadata.Component.Version != info.Main.Version {
		t.Errorf("%s %s of %+v, want CycloneDX 1.6 of tmms %s", b.Format, b.Spec, b.Metadata.Component, info.Main.Version)
	}
	got, want := map[string]string{}, map[string]string{"std": info.GoVersion}
	for _, c := range b.Components {
		if got[c.Name] = c.Version; c.Type != "library" || !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@"+c.Version) {
			t.Errorf("%+v: want a library with its address", c)
		}
	}
	mod := read(t, "../../go.mod")
	for _, m := range info.Deps {
		want[m.Path] = m.Version
		if !strings.Contains(mod, "\t"+m.Path+" "+m.Version) {
			t.Errorf("%s %s is linked in, but not in go.mod", m.Path, m.Version)
		}
	}
	if !maps.Equal(got, want) || len(want) < 20 {
		t.Errorf("%d components %v, want the %d modules of the binary: %v", len(got), got, len(want), want)
	}
}
