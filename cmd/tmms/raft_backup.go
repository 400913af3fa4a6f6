package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"tmms/cluster/consensus"
	"tmms/cluster/state"
	"tmms/media"
)

const bytesType = "application/octet-stream"

// runRaftSnapshot makes the node write a snapshot of its raft log or, with a FILE,
// saves the whole state.
func runRaftSnapshot(ctx context.Context, c console, args []string) error {
	fs := newFlags("raft snapshot")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return err
	}
	cl.http.Timeout = changeTimeout
	if len(words) == 1 {
		return saveBackup(ctx, c, cl, words[0])
	}
	info, err := ask[consensus.SnapshotInfo](ctx, cl, http.MethodPost, "/api/v1/raft/snapshot", nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "snapshot %s: entry %d of term %d, %d bytes\n",
		printable(info.ID), info.Index, info.Term, info.Bytes)
	return nil
}

// saveBackup writes a backup that can be restored, or no file.
func saveBackup(ctx context.Context, c console, cl *client, path string) error {
	b, err := cl.exchange(ctx, message{method: http.MethodGet, path: "/api/v1/raft/backup", limit: media.MaxBackupBytes})
	if err != nil {
		return err
	}
	s := state.New()
	if err = s.Restore(b); err != nil {
		return fmt.Errorf("%s has sent no good backup: %w", cl.base, err)
	}
	if err = writeSecret(path, b); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s: %d bytes, cluster %s at entry %d: config revision %d, %d streams, %d nodes\n",
		path, len(b), printable(s.ClusterID()), s.Index(), s.Config().Revision(), s.PlacementCount(), s.NodeCount())
	return nil
}

// writeSecret writes a file that only its owner reads, whole or not at all.
func writeSecret(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// runRaftRestore brings back what a backup has.
func runRaftRestore(ctx context.Context, c console, args []string) error {
	fs := newFlags("raft restore")
	foreign := fs.Bool("foreign", false, "take the backup of another cluster into one that has a config")
	api := clientFlags(c, fs)
	words, err := parseFlags(c, fs, args, 1)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("want the FILE that \"tmms raft snapshot FILE\" has written")
	}
	b, err := readBackup(words[0])
	if err != nil {
		return err
	}
	cl, err := newClient(c, *api)
	if err != nil {
		return err
	}
	cl.http.Timeout = changeTimeout
	got, err := ask[struct {
		Revision                               uint64
		Changed, Whole                         bool
		Revisions, Streams, Nodes, Revocations int
	}](ctx, cl, http.MethodPost, "/api/v1/raft/restore?foreign="+strconv.FormatBool(*foreign), b)
	if err != nil {
		return err
	}
	what := "was in force already"
	if got.Changed {
		what = "is in force"
	}
	fmt.Fprintf(c.stdout,
		"config revision %d %s; %d revisions, %d streams and %d nodes came back, %d certificates are revoked\n",
		got.Revision, what, got.Revisions, got.Streams, got.Nodes, got.Revocations)
	if !got.Whole {
		fmt.Fprintln(c.stderr,
			"tmms raft: the backup is too long for one entry of the log: streams and old revisions were left out")
	}
	return nil
}

// readBackup reads a file and checks that it can be restored.
func readBackup(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, media.MaxBackupBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(b) > media.MaxBackupBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, media.MaxBackupBytes)
	}
	if err = state.New().Restore(b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}
