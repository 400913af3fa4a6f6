package consensus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// badStore is a store whose disk is full, or hangs.
type badStore struct {
	Store

	mu   sync.Mutex
	full bool
	hang chan struct{} // nil: it does not
}

func (s *badStore) fault() error {
	s.mu.Lock()
	full, hang := s.full, s.hang
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if full {
		return syscall.ENOSPC
	}
	return nil
}

func (s *badStore) set(full bool, hang chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full, s.hang = full, hang
}

func (s *badStore) StoreLogs(l []*raft.Log) error {
	return errors.Join(s.fault(), s.Store.StoreLogs(l))
}

func (s *badStore) Set(k, v []byte) error { return errors.Join(s.fault(), s.Store.Set(k, v)) }

func (s *badStore) SetUint64(k []byte, v uint64) error {
	return errors.Join(s.fault(), s.Store.SetUint64(k, v))
}

// Case: full-disk. Case: slow-disk. A write is tried again until it succeeds; while
// it fails, or takes long, raft is cut off.
func TestDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &badStore{Store: raft.NewInmemStore()}
		var cuts []bool
		d := newDisk(store, slog.New(slog.DiscardHandler), slowWrite, func(off bool) { cuts = append(cuts, off) })
		entry := []*raft.Log{{Index: 1, Data: []byte("x")}}
		write := func() chan error {
			done := make(chan error, 1)
			go func() { done <- d.StoreLogs(entry) }()
			synctest.Wait()
			return done
		}

		store.set(true, nil)
		done := write()
		if d.trouble() == nil || !errors.Is(d.trouble(), syscall.ENOSPC) || fmt.Sprint(cuts) != "[true]" {
			t.Fatalf("a full disk: %v, cut %v", d.trouble(), cuts)
		}
		time.Sleep(time.Hour)
		store.set(false, nil)
		if err := <-done; err != nil || d.trouble() != nil || fmt.Sprint(cuts) != "[true false]" || d.failures.Load() < 1000 {
			t.Fatalf("room again: %v, %v, cut %v after %d attempts", err, d.trouble(), cuts, d.failures.Load())
		}

		hang := make(chan struct{})
		store.set(false, hang)
		done = write()
		time.Sleep(slowWrite - time.Millisecond)
		if d.trouble() != nil {
			t.Fatalf("too early: %v", d.trouble())
		}
		time.Sleep(time.Second)
		if d.trouble() == nil || fmt.Sprint(cuts) != "[true false true]" {
			t.Fatalf("a slow disk: %v, cut %v", d.trouble(), cuts)
		}
		close(hang)
		if err := <-done; err != nil || d.trouble() != nil || fmt.Sprint(cuts) != "[true false true false]" {
			t.Fatalf("the disk works again: %v, %v, cut %v", err, d.trouble(), cuts)
		}

		store.set(true, nil) // at the end nothing waits, and raft stays cut off
		done = write()
		d.end()
		if err := <-done; !errors.Is(err, syscall.ENOSPC) || fmt.Sprint(cuts) != "[true false true false true]" {
			t.Fatalf("at the end: %v, cut %v", err, cuts)
		}
		if errors.Join(d.Set(nil, nil), d.SetUint64(nil, 1)) != nil { // raft would panic
			t.Error("at the end an error of the vote is shown")
		}
	})
}
