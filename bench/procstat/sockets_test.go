package procstat

import (
	"os"
	"testing"
)

func TestTCPMemory(t *testing.T) {
	const text = "sockets: used 300\nTCP: inuse 27 orphan 0 tw 2 alloc 37 mem 12\nUDP: inuse 4 mem 1\n"
	if n, err := tcpMemory(text); err != nil || n != int64(12*os.Getpagesize()) {
		t.Errorf("%d bytes, %v", n, err)
	}
	for _, bad := range []string{"", "TCP: inuse 1\n", "TCP: mem x\n"} {
		if n, err := tcpMemory(bad); err == nil {
			t.Errorf("%q gives %d bytes", bad, n)
		}
	}
	if n, err := TCPMemory(); err != nil || n < 0 {
		t.Errorf("this machine: %d bytes, %v", n, err)
	}
}

func TestUDPDrops(t *testing.T) {
	if n, err := UDPDrops(); err != nil || n < 0 {
		t.Errorf("%d, %v", n, err)
	}
}
