package relayend

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tmms/bench/procstat"
	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/cluster/relay"
)

// errLost says that packets did not come, or not in order.
var errLost = errors.New("relayend: packets are missing")

// waitTimeout bounds the wait for packets.
const waitTimeout = 15 * time.Second

// end is one of the two; source or sink is nil.
type end struct {
	fabric  *fabric.Fabric
	source  *source
	sink    *sink
	tasks   []func(context.Context) error
	profile *os.File // being written; else nil
}

// Serve is an end's life: it reads a config and requests from in, and writes
// replies to out. It returns when in ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	var cfg Config
	if err := requests.Decode(&cfg); err != nil {
		return fmt.Errorf("relayend: config: %w", err)
	}
	e, err := newEnd(&cfg, time.Now())
	if err != nil {
		return errors.Join(err, replies.Encode(Reply{Error: err.Error()}))
	}
	ctx, cancel := context.WithCancel(ctx)
	failed := make(chan error, len(e.tasks))
	var running sync.WaitGroup
	for _, task := range e.tasks {
		running.Go(func() { failed <- task(ctx) })
	}
	err = replies.Encode(Reply{Addr: e.fabric.Addr().String()})
	for err == nil {
		var r Request
		if err = requests.Decode(&r); err != nil {
			break
		}
		err = replies.Encode(e.answer(ctx, &r))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	cancel()
	running.Wait()
	close(failed)
	for fault := range failed {
		err = errors.Join(err, fault)
	}
	return err
}

func newEnd(cfg *Config, now time.Time) (*end, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	id, err := pki.NewIdentity(cfg.Cert, cfg.Key, cfg.CA)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	f, err := fabric.New(fabric.Config{
		Listen: cmp.Or(cfg.Listen, "127.0.0.1:0"), Recovery: cfg.Recovery,
	}, id, fabric.Deps{Log: log})
	if err != nil {
		return nil, err
	}
	e := &end{fabric: f, tasks: []func(context.Context) error{f.Run}}
	hub, deps := relay.NewHub(), relay.Deps{Log: log}
	if cfg.Role == RoleSource {
		err = e.newSource(hub, cfg, deps, now)
	} else {
		err = e.newSink(hub, cfg, deps)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return e, nil
}

func (e *end) newSource(hub *relay.Hub, cfg *Config, deps relay.Deps, now time.Time) error {
	server, err := relay.NewServer(hub, &view{id: sourceName}, deps)
	if err != nil {
		return err
	}
	e.fabric.Handle(fabric.ALPNRelay, server.Serve)
	e.source, err = newSource(hub, cfg.Streams, cfg.Shape, now)
	if err != nil {
		return err
	}
	e.tasks = append(e.tasks, e.source.run)
	return nil
}

func (e *end) newSink(hub *relay.Hub, cfg *Config, deps relay.Deps) error {
	puller, err := relay.NewPuller(hub, e.fabric, &view{id: sinkName, source: cfg.Source}, relay.PullConfig{}, deps)
	if err != nil {
		return err
	}
	e.sink = &sink{hub: hub, mayMiss: cfg.MayMiss}
	e.tasks = append(e.tasks, puller.Run, e.sink.run)
	return nil
}

// answer does what is asked.
func (e *end) answer(ctx context.Context, r *Request) Reply {
	reply, err := e.do(ctx, r)
	if err != nil {
		reply.Error = err.Error()
	}
	return reply
}

func (e *end) do(ctx context.Context, r *Request) (reply Reply, err error) {
	switch r.Do {
	case ActUsage:
		reply.Usage, err = e.usage()
		return reply, err
	case ActMemory:
		reply.Memory, err = e.memory()
		return reply, err
	case ActProfile:
		return reply, e.profileTo(r.Path)
	case ActSent:
		if e.source != nil {
			return Reply{Sent: e.source.sent()}, nil
		}
	case ActOpen, ActWatch, ActDelay, ActVerify:
		if e.sink != nil {
			return e.doSink(ctx, r)
		}
	}
	return reply, fmt.Errorf("relayend: this end can't %q", r.Do)
}

func (e *end) doSink(ctx context.Context, r *Request) (reply Reply, err error) {
	switch r.Do {
	case ActOpen:
		err = e.sink.open(ctx, r.N)
	case ActWatch:
		e.sink.watch()
	case ActDelay:
		reply.Delay, err = e.sink.delay()
	default:
		reply.Got, err = e.sink.verify(ctx, r.Sent)
	}
	return reply, err
}

// usage is what this process has used.
func (e *end) usage() (u Usage, err error) {
	if e.source != nil {
		u.Packets, u.Bytes = e.source.made()
	} else {
		u.Packets, u.Bytes = e.sink.got()
		u.Check = e.sink.checking()
	}
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return u, fmt.Errorf("relayend: rusage: %w", err)
	}
	u.System = time.Duration(r.Stime.Nano())
	u.CPU = time.Duration(r.Utime.Nano()) + u.System - u.Check
	return u, nil
}

// memory is what this process holds.
func (e *end) memory() (m Memory, err error) {
	if m.RSS, err = procstat.RSS(os.Getpid()); err != nil {
		return m, err
	}
	runtime.GC()
	runtime.GC() // pools keep theirs through one
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	m.Heap, m.Stacks, m.Goroutines = int64(s.HeapInuse), int64(s.StackInuse), runtime.NumGoroutine()
	if e.source != nil {
		m.Logs = e.source.logs()
	} else {
		m.Logs = e.sink.logs()
	}
	return m, nil
}

// profileTo begins a CPU profile, or ends it.
func (e *end) profileTo(path string) (err error) {
	if path == "" {
		pprof.StopCPUProfile()
		if e.profile == nil {
			return errors.New("relayend: no profile is being written")
		}
		err, e.profile = e.profile.Close(), nil
		return err
	}
	if e.profile, err = os.Create(path); err != nil {
		return fmt.Errorf("relayend: profile: %w", err)
	}
	if err = pprof.StartCPUProfile(e.profile); err != nil {
		return fmt.Errorf("relayend: profile: %w", err)
	}
	return nil
}
