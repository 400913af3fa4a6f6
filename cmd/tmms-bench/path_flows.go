package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// flow is traffic from the source's namespace to the sink's.
type flow struct {
	got     atomic.Int64 // payload that has arrived, in bytes
	closers []func() error
	running sync.WaitGroup
}

// stop ends it.
func (f *flow) stop() {
	for _, c := range f.closers {
		_ = c() // whoever reads or writes is to fail
	}
	f.running.Wait()
}

// drain counts what arrives until the connection ends.
func (f *flow) drain(c net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		f.got.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// startCubic sends as much as CUBIC lets through by one TCP connection.
func (e pathEnds) startCubic(ctx context.Context) (f *flow, err error) {
	f = &flow{}
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	var ln net.Listener
	err = e.sink.Do(func() (err error) {
		ln, err = new(net.ListenConfig).Listen(ctx, "tcp4", defaultAddresses()[1].Addr().String()+":0")
		return err //nolint:wrapcheck // below
	})
	if err != nil {
		return f, fmt.Errorf("path: TCP: %w", err)
	}
	f.closers = append(f.closers, ln.Close)
	var out net.Conn
	err = e.source.Do(func() (err error) {
		out, err = (&net.Dialer{Control: cubic}).DialContext(ctx, "tcp4", ln.Addr().String())
		return err //nolint:wrapcheck // below
	})
	if err != nil {
		return f, fmt.Errorf("path: TCP: %w", err)
	}
	f.closers = append(f.closers, out.Close)
	in, err := ln.Accept()
	if err != nil {
		return f, fmt.Errorf("path: TCP: %w", err)
	}
	f.closers = append(f.closers, in.Close)
	f.running.Go(func() { f.drain(in) })
	f.running.Go(func() {
		for b := make([]byte, 64<<10); err == nil; {
			_, err = out.Write(b)
		}
	})
	return f, nil
}

// cubic sets the congestion control before the connection is made.
func cubic(_, _ string, c syscall.RawConn) error {
	var fault error
	err := c.Control(func(fd uintptr) {
		fault = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic")
	})
	return errors.Join(err, fault)
}

// constantPacket is the payload of a packet of constant UDP, in bytes: as large
// as QUIC's are.
const constantPacket = 1200

// startConstant sends UDP packets at a rate of payload, whatever happens to them.
func (e pathEnds) startConstant(ctx context.Context, rateBPS int) (f *flow, err error) {
	f = &flow{}
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	var in net.PacketConn
	err = e.sink.Do(func() (err error) {
		in, err = new(net.ListenConfig).ListenPacket(ctx, "udp4", defaultAddresses()[1].Addr().String()+":0")
		return err //nolint:wrapcheck // below
	})
	if err != nil {
		return f, fmt.Errorf("path: UDP: %w", err)
	}
	f.closers = append(f.closers, in.Close)
	var out net.Conn
	err = e.source.Do(func() (err error) {
		out, err = new(net.Dialer).DialContext(ctx, "udp4", in.LocalAddr().String())
		return err //nolint:wrapcheck // below
	})
	if err != nil {
		return f, fmt.Errorf("path: UDP: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	f.closers = append(f.closers, out.Close, func() error { cancel(); return nil })
	f.running.Go(func() {
		b := make([]byte, constantPacket)
		for n, _, err := in.ReadFrom(b); err == nil; n, _, err = in.ReadFrom(b) {
			f.got.Add(int64(n))
		}
	})
	f.running.Go(func() { sendConstant(ctx, out, rateBPS) })
	return f, nil
}

// sendConstant sends what is due each millisecond until ctx ends.
func sendConstant(ctx context.Context, out net.Conn, rateBPS int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	b := make([]byte, constantPacket)
	began, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for due := int(now.Sub(began).Seconds() * float64(rateBPS) / 8); sent+constantPacket <= due; sent += constantPacket {
				_, _ = out.Write(b) // a full queue is the path's business
			}
		}
	}
}
