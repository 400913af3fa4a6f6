package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tmms/bench/faults"
)

// errFaults ends a run in which a limit was broken.
var errFaults = errors.New("faults: a case has failed")

// faultsBench is a run of the fault suite.
type faultsBench struct {
	cfg    faults.Config
	race   bool
	report string // "": no file
}

// faultsCommand breaks a cluster in network namespaces in every way that CASES
// names, and at random.
func faultsCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	b, err := faultsFlags(flags, args)
	if err != nil {
		return err
	}
	b.cfg.Out = out
	if b.cfg.Dir, err = os.MkdirTemp("", "tmms-faults-"); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	defer func() {
		if err != nil {
			fmt.Fprintln(out, "the nodes' logs are in", b.cfg.Dir)
			return
		}
		err = os.RemoveAll(b.cfg.Dir)
	}()
	if err = b.build(ctx); err != nil {
		return err
	}
	report, err := faults.Run(ctx, b.cfg)
	if report != nil {
		report.Text(out)
		if b.report != "" {
			err = errors.Join(err, writeReport(b.report, report))
		}
		if !report.Pass {
			err = errors.Join(err, errFaults)
		}
	}
	return err
}

func faultsFlags(flags *flag.FlagSet, args []string) (*faultsBench, error) {
	b := &faultsBench{cfg: faults.Config{Kills: 10, Seed: 1}}
	only := flags.String("cases", "", "`NAMES` of cases, with commas, or none (default: all: "+
		strings.Join(faults.CaseNames(), ", ")+")")
	flags.IntVar(&b.cfg.Kills, "kills", b.cfg.Kills, "leaders to kill; other cases are done a tenth as often")
	flags.DurationVar(&b.cfg.Random, "random", 0, "how long faults are drawn at random, after the cases")
	flags.Uint64Var(&b.cfg.Seed, "seed", b.cfg.Seed, "of the random faults; the same draws the same")
	flags.StringVar(&b.cfg.Program, "tmms", "", "`FILE` of the program under test (default: it is built)")
	flags.BoolVar(&b.race, "race", false, "build it with the race detector")
	flags.StringVar(&b.report, "report", "", "`FILE` for the report in JSON")
	if err := parse(flags, args); err != nil {
		return nil, err
	}
	switch *only {
	case "":
		b.cfg.Cases = faults.CaseNames()
	case "none":
	default:
		b.cfg.Cases = strings.Split(*only, ",")
	}
	if err := b.cfg.Validate(); err != nil {
		fmt.Fprintln(flags.Output(), err)
		return nil, errUsage
	}
	return b, nil
}

// build makes what is missing of the programs.
func (b *faultsBench) build(ctx context.Context) (err error) {
	if b.cfg.Bench, err = os.Executable(); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	if b.cfg.Program != "" {
		return nil
	}
	b.cfg.Program = filepath.Join(b.cfg.Dir, "tmms")
	args := []string{"build", "-o", b.cfg.Program}
	if b.race {
		args = append(args, "-race")
	}
	msg, err := exec.CommandContext(ctx, "go", append(args, "./cmd/tmms")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("faults: run from the project's root: %w\n%s", err, msg)
	}
	return nil
}

func writeReport(file string, report *faults.Report) error {
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	if err = os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return nil
}
