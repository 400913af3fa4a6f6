package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// disk is what a node keeps its state on.
type disk int

const (
	diskPlain  disk = iota // a folder
	diskSmall              // a tmpfs of 16 MiB
	diskFrozen             // a file system of its own, which can be frozen
)

const (
	smallDisk = 16 << 20
	imageSize = 64 << 20
	// FIFREEZE and FITHAW of linux/fs.h, _IOWR('X', 119 and 120, int).
	ioctlFreeze = 0xC0045877
	ioctlThaw   = 0xC0045878
)

// mount puts a node's disk under its data folder.
func (n *Node) mount(ctx context.Context) error {
	if err := os.MkdirAll(n.dataDir(), 0o700); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	switch n.disk {
	case diskSmall:
		if err := unix.Mount("tmpfs", n.dataDir(), "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", smallDisk)); err != nil {
			return fmt.Errorf("faults: a tmpfs at %s: %w", n.dataDir(), err)
		}
	case diskFrozen:
		image := n.path("img")
		if err := os.WriteFile(image, nil, 0o600); err != nil {
			return fmt.Errorf("faults: %w", err)
		}
		if err := os.Truncate(image, imageSize); err != nil {
			return fmt.Errorf("faults: %w", err)
		}
		if err := said(exec.CommandContext(ctx, "mkfs.ext4", "-q", image)); err != nil {
			return err
		}
		return said(exec.CommandContext(ctx, "mount", "-o", "loop", image, n.dataDir()))
	case diskPlain:
	}
	return nil
}

// unmount takes it away, after the process's end.
func (n *Node) unmount() error {
	if n.disk == diskPlain {
		return nil
	}
	if err := unix.Unmount(n.dataDir(), 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("faults: unmount %s: %w", n.dataDir(), err)
	}
	return nil
}

// filler is the file that fills a small disk up.
func (n *Node) filler() string { return filepath.Join(n.dataDir(), "filler") }

// fill leaves no byte of the node's small disk.
func (n *Node) fill() error {
	f, err := os.Create(n.filler())
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	b := make([]byte, 64<<10)
	for size := len(b); size > 0; {
		if _, err = f.Write(b[:size]); errors.Is(err, unix.ENOSPC) {
			size /= 2
			continue
		}
		if err != nil {
			break
		}
	}
	if errors.Is(err, unix.ENOSPC) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("faults: fill %s: %w", n.dataDir(), err)
	}
	return nil
}

// empty makes room again.
func (n *Node) empty() error {
	if err := os.Remove(n.filler()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("faults: %w", err)
	}
	return nil
}

// slow lets each write to the node's own file system wait for up to a time, again
// and again until ctx ends: it is frozen for that time and thawed for a fifth of it.
func (n *Node) slow(ctx context.Context, d time.Duration) error {
	dir, err := os.Open(n.dataDir())
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	defer func() { _ = dir.Close() }() // nothing was written to it
	for ctx.Err() == nil {
		if err := freeze(ctx, dir, d); err != nil {
			return err
		}
		pause(ctx, d/5)
	}
	return nil
}

// freeze stops all writes for a time.
func freeze(ctx context.Context, dir *os.File, d time.Duration) error {
	if err := unix.IoctlSetInt(int(dir.Fd()), ioctlFreeze, 0); err != nil {
		return fmt.Errorf("faults: freeze %s: %w", dir.Name(), err)
	}
	pause(ctx, d)
	if err := unix.IoctlSetInt(int(dir.Fd()), ioctlThaw, 0); err != nil {
		return fmt.Errorf("faults: thaw %s: %w", dir.Name(), err)
	}
	return nil
}

// pause waits for a time or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
