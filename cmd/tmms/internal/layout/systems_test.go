package layout

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"testing"
)

// TestOtherSystems: tmms is for Linux, but its command line builds elsewhere, to
// say so in one line. Types are checked from the sources, which is faster than a
// cross build.
func TestOtherSystems(t *testing.T) {
	for _, goos := range []string{"darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			c := checker{fset: token.NewFileSet(), done: map[string]*types.Package{"unsafe": types.Unsafe}}
			for _, p := range list(t, goos, "-deps", "./cmd/tmms") { // each after what it imports
				if p.Error != nil {
					t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
					continue
				}
				if err := c.check(p); err != nil {
					t.Fatal(err)
				}
			}
			if c.done[module+"/cmd/tmms"] == nil {
				t.Error("cmd/tmms was not checked")
			}
		})
	}
}

// checker type-checks packages; those outside the module without their functions' bodies.
type checker struct {
	fset *token.FileSet
	done map[string]*types.Package
}

func (c *checker) check(p pkg) error {
	if p.ImportPath == "unsafe" {
		return nil
	}
	_, ours := inModule(p.ImportPath)
	files := make([]*ast.File, 0, len(p.GoFiles))
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(c.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	conf := types.Config{Importer: importer{c, p.ImportMap}, IgnoreFuncBodies: !ours}
	checked, err := conf.Check(p.ImportPath, c.fset, files, nil)
	if err != nil {
		return err
	}
	c.done[p.ImportPath] = checked
	return nil
}

// importer finds what one package imports among the packages checked before.
type importer struct {
	*checker
	vendored map[string]string // import path -> the standard library's own copy
}

// Import implements types.Importer.
func (i importer) Import(path string) (*types.Package, error) {
	if v, ok := i.vendored[path]; ok {
		path = v
	}
	if p := i.done[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s was not listed before", path)
}
