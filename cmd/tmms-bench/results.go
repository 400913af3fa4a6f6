package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// results is the folder that a command's figures go to; "" keeps none.
type results string

// resultsFlag makes "-results DIR", for a command that writes NAME.json and what
// else is said in files.
func resultsFlag(flags *flag.FlagSet, files string) *results {
	dir := new(results)
	flags.Func("results", "write "+files+" into this `DIR`", func(s string) error {
		*dir = results(s)
		return nil
	})
	return dir
}

// save writes NAME.json with the figures and, if there is a picture, NAME.svg.
// It makes the folder.
func (dir results) save(name string, figures any, picture *chart) error {
	if dir == "" {
		return nil
	}
	b, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	if err = os.MkdirAll(string(dir), 0o755); err != nil { //nolint:gosec // public figures
		return fmt.Errorf("results: %w", err)
	}
	files := map[string][]byte{name + ".json": append(b, '\n')}
	if picture != nil {
		files[name+".svg"] = picture.svg()
	}
	for file, data := range files {
		if err := os.WriteFile(filepath.Join(string(dir), file), data, 0o644); err != nil { //nolint:gosec // public figures
			return fmt.Errorf("results: %w", err)
		}
	}
	return nil
}
