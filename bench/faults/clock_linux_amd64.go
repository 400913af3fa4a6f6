package faults

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// skewedClock is the wall clock of one process, which can be moved while its other
// clocks, and all other processes, go on as they are: a program asks for the time
// by a function that the kernel puts into its memory (vdso(7)), and this one has
// another function there, which adds an offset.
type skewedClock struct {
	pid    int
	offset int64 // address of the offset, in s
}

// readClock replaces clock_gettime(clock edi, timespec rsi); its last word is the
// offset in s.
func readClock() []byte {
	return []byte{
		0xB8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0F, 0x05, // syscall
		0x85, 0xFF, // test edi, edi
		0x75, 0x0A, // jne to ret: only CLOCK_REALTIME is 0
		0x48, 0x8B, 0x15, 6, 0, 0, 0, // mov rdx, the offset
		0x48, 0x01, 0x16, // add [rsi], rdx
		0xC3,       // ret
		0x90, 0x90, // the offset lies at a multiple of 8
		0, 0, 0, 0, 0, 0, 0, 0,
	}
}

// skewClock gives a process a clock of its own. The process has just been started
// with Ptrace by the calling thread, and goes on from here.
func skewClock(pid int) (*skewedClock, error) {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || !status.Stopped() {
		return nil, fmt.Errorf("faults: process %d does not stop at its start: status %#x, %w", pid, status, err)
	}
	at, err := clockFunction(pid)
	if err != nil {
		return nil, err
	}
	code := readClock()
	c := &skewedClock{pid: pid, offset: at + int64(len(code)-8)}
	if err = c.write(at, code); err != nil {
		return nil, err
	}
	if err = unix.PtraceDetach(pid); err != nil {
		return nil, fmt.Errorf("faults: detach from process %d: %w", pid, err)
	}
	return c, nil
}

// Move puts the clock so far ahead of the true time, or behind; a second is its unit.
func (c *skewedClock) Move(by time.Duration) error {
	return c.write(c.offset, binary.LittleEndian.AppendUint64(nil, uint64(by/time.Second)))
}

// write changes the process's memory, also where the process itself may not.
func (c *skewedClock) write(at int64, b []byte) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.pid), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("faults: the clock of process %d: %w", c.pid, err)
	}
	_, err = mem.WriteAt(b, at)
	if err = errors.Join(err, mem.Close()); err != nil {
		return fmt.Errorf("faults: the clock of process %d: %w", c.pid, err)
	}
	return nil
}

// clockFunction is the address of a process's clock_gettime.
func clockFunction(pid int) (int64, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, fmt.Errorf("faults: %w", err)
	}
	var begin, end int64
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			if _, err = fmt.Sscanf(line, "%x-%x ", &begin, &end); err != nil {
				return 0, fmt.Errorf("faults: %q: %w", line, err)
			}
		}
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0, fmt.Errorf("faults: %w", err)
	}
	defer func() { _ = mem.Close() }() // it was read only
	image, err := io.ReadAll(io.NewSectionReader(mem, begin, end-begin))
	if err != nil {
		return 0, fmt.Errorf("faults: vdso of process %d: %w", pid, err)
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, fmt.Errorf("faults: vdso of process %d: %w", pid, err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, fmt.Errorf("faults: vdso of process %d: %w", pid, err)
	}
	const name = "__vdso_clock_gettime"
	for _, s := range symbols {
		if s.Name == name && s.Value%8 == 0 && s.Size >= uint64(len(readClock())) {
			return begin + int64(s.Value), nil
		}
	}
	return 0, fmt.Errorf("faults: the vdso of process %d has no %s with room for %d bytes", pid, name, len(readClock()))
}
