package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

func versionCommand() command {
	return command{name: "version", summary: "Show the version.", run: runVersion}
}

func runVersion(_ context.Context, c console, args []string) error {
	if _, err := parseFlags(c, newFlags("version"), args, 0); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "tmms %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// version is the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v + release
}
