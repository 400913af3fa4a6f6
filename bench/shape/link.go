package shape

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config of a link.
type Config struct {
	A, B       End
	AtoB, BtoA Params
	MTU        int    // 1,280 to 2,000 bytes; 0 is 1,500
	Seed       uint64 // of the losses; the same gives the same
}

// Bounds of [Config].MTU.
const (
	minMTU     = 1280 // what IPv6 needs
	maxMTU     = 2000
	defaultMTU = 1500
)

// Direction of a link.
type Direction int

// The two directions.
const (
	AtoB Direction = iota
	BtoA
)

// Link is two lines between two devices. All methods but Close are for any goroutine.
type Link struct {
	// Set at construction.
	began   time.Time
	devices [2]*device // A's and B's
	wakes   int        // an eventfd: look again

	mu sync.Mutex
	// Guarded by mu.
	lines [2]*Line
}

// Open makes the devices and gives them their addresses. Packets go once [Link.Run] does.
func Open(ctx context.Context, cfg Config) (*Link, error) {
	if cfg.MTU == 0 {
		cfg.MTU = defaultMTU
	}
	if cfg.MTU < minMTU || cfg.MTU > maxMTU {
		return nil, fmt.Errorf("shape: an MTU of %d is not in %d..%d", cfg.MTU, minMTU, maxMTU)
	}
	l := &Link{began: time.Now(), wakes: -1}
	var errs [2]error
	l.lines[AtoB], errs[0] = NewLine(cfg.AtoB, 2*cfg.Seed)
	l.lines[BtoA], errs[1] = NewLine(cfg.BtoA, 2*cfg.Seed+1)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var err error
	for i, end := range []End{cfg.A, cfg.B} {
		if l.devices[i], err = openDevice(ctx, end, cfg.MTU); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	if l.wakes, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, errors.Join(fmt.Errorf("shape: eventfd: %w", err), l.Close())
	}
	return l, nil
}

// Close removes the devices, after Run.
func (l *Link) Close() (err error) {
	if l.wakes >= 0 {
		err = unix.Close(l.wakes)
		l.wakes = -1
	}
	return errors.Join(err, l.devices[0].close(), l.devices[1].close())
}

// Set changes the parameters of a direction at once.
func (l *Link) Set(d Direction, p Params) error {
	l.mu.Lock()
	err := l.lines[d].Set(l.now(), p)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.wake()
}

// Status is how the link is.
func (l *Link) Status() (s Status, err error) {
	l.mu.Lock()
	for d, line := range l.lines {
		s.Params[d], s.Counters[d] = line.Params(), line.Counters()
	}
	l.mu.Unlock()
	for d, from := range l.devices {
		missed, fault := from.missed()
		s.Counters[d].Missed, err = missed, errors.Join(err, fault)
	}
	return s, err
}

func (l *Link) now() time.Duration { return time.Since(l.began) }

// wake makes Run look again.
func (l *Link) wake() error {
	if _, err := unix.Write(l.wakes, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil && !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("shape: wake: %w", err)
	}
	return nil
}

// Run carries packets until ctx ends, once; see [Prioritize].
func (l *Link) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: its priority goes with it
		prioritize()
		done <- l.carry(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.Join(l.wake(), <-done)
	}
}

// carry is the loop: wait for packets or for the time of one, take in what came,
// give out what is due.
func (l *Link) carry(ctx context.Context) error {
	polls := []unix.PollFd{
		{Fd: int32(l.devices[0].fd), Events: unix.POLLIN},
		{Fd: int32(l.devices[1].fd), Events: unix.POLLIN},
		{Fd: int32(l.wakes), Events: unix.POLLIN},
	}
	buffer := make([]byte, maxPacket)
	for ctx.Err() == nil {
		timeout := unix.NsecToTimespec(int64(l.pause()))
		if _, err := unix.Ppoll(polls, &timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("shape: poll: %w", err)
		}
		if polls[2].Revents != 0 {
			_, _ = unix.Read(l.wakes, buffer) // it only has to be empty
		}
		for d := range l.lines {
			if polls[d].Revents != 0 {
				if err := l.takeIn(Direction(d), buffer); err != nil {
					return err
				}
			}
			if err := l.giveOut(Direction(d)); err != nil {
				return err
			}
		}
	}
	return nil
}

// idle is the longest wait.
const idle = time.Second

// pause is the time until a packet is due.
func (l *Link) pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	pause := idle
	for _, line := range l.lines {
		if at, ok := line.Next(); ok {
			pause = min(pause, max(0, at-now))
		}
	}
	return pause
}

// batch bounds the packets taken in at a time, so that others come out in time.
const batch = 16

// takeIn reads packets of one direction.
func (l *Link) takeIn(d Direction, buffer []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range batch {
		n, err := unix.Read(l.devices[d].fd, buffer)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			return nil
		case err != nil:
			return fmt.Errorf("shape: read: %w", err)
		}
		l.lines[d].Push(l.now(), buffer[:n])
	}
	return nil
}

// giveOut writes the packets of one direction that are due.
func (l *Link) giveOut(d Direction) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		b := l.lines[d].Pop(l.now())
		if b == nil {
			return nil
		}
		_, err := unix.Write(l.devices[1-d].fd, b)
		switch {
		case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
		case errors.Is(err, unix.EIO): // the device is down
		default:
			return fmt.Errorf("shape: write: %w", err)
		}
	}
}
