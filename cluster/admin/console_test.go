package admin

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

func TestConsoleIsServed(t *testing.T) {
	n := serve(t, Config{})
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/app.js": "text/javascript; charset=utf-8", "/style.css": "text/css; charset=utf-8",
		"/favicon.svg": "image/svg+xml", "/favicon.ico": "image/",
	} {
		a := n.do("GET", path, "").want(t, 200, nil)
		if got := a.Header.Get("Content-Type"); !strings.HasPrefix(got, kind) || len(a.body) == 0 {
			t.Errorf("%s: %q, %d bytes", path, got, len(a.body))
		}
	}
}

// The console shows what the network says: only as text, and it loads nothing
// from elsewhere.
func TestConsoleHasNoMarkupSinks(t *testing.T) {
	sink := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|` +
		`createContextualFragment|srcdoc|setHTML|javascript:`)
	outside := regexp.MustCompile(`(src|href)="(https?:)?//|@import|url\(|from 'http|\bimport\(`)
	inline := regexp.MustCompile(`<script>|<style|\son[a-z]+="|style="`)
	err := fs.WalkDir(consoleFiles, "console", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(consoleFiles, path)
		for _, rule := range []*regexp.Regexp{sink, outside, inline} {
			if found := rule.Find(b); found != nil {
				t.Errorf("%s has %q", path, found)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every module that is imported, and every element that is looked up, is there.
func TestConsoleIsWhole(t *testing.T) {
	page, err := fs.ReadFile(consoleFiles, "console/index.html")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := fs.Glob(consoleFiles, "console/*.js")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		b, err := fs.ReadFile(consoleFiles, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`from '\./([^']+)'`).FindAllSubmatch(b, -1) {
			if _, err := fs.Stat(consoleFiles, "console/"+string(m[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		for _, m := range regexp.MustCompile(`box\('([^']+)'\)`).FindAllSubmatch(b, -1) {
			if !strings.Contains(string(page), `id="`+string(m[1])+`"`) {
				t.Errorf("%s: no element %s", path, m[1])
			}
		}
	}
}
