package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"tmms/cmd/tmms/internal/node"
)

// welcome is what a newcomer reads.
type welcome struct {
	bound  node.Addresses
	memory bool
	demo   bool
	open   []string // see openApps
}

// String gives the lines that dev prints.
func (w welcome) String() string {
	var b strings.Builder
	where := "state is in the data folder"
	if w.memory {
		where = "all in memory"
	}
	fmt.Fprintf(&b, "tmms dev is running (%s). Ctrl-C ends it.\n\n", where)
	stream := "live/STREAM"
	if w.bound.RTMP != nil {
		fmt.Fprintf(&b, "  push to    %s\n", w.rtmpURL(stream))
		fmt.Fprintf(&b, "             OBS: Server %s, Stream Key STREAM\n", w.rtmpURL("live"))
	}
	if w.demo {
		stream = "live/demo"
		fmt.Fprintf(&b, "\n  The demo plays as %s.\n", stream)
	}
	if w.bound.HTTP != nil {
		fmt.Fprintf(&b, "\n  watch in a browser        %s%s\n", w.httpURL(""), w.player())
	}
	if w.bound.RTMP != nil {
		fmt.Fprintf(&b, "  watch in VLC or ffplay    %s\n", w.rtmpURL(stream))
	}
	if w.bound.HTTP != nil {
		fmt.Fprintf(&b, "                            %s\n", w.httpURL(stream+".flv"))
		fmt.Fprintf(&b, "                            %s\n", w.httpURL(stream+".m3u8"))
	}
	if w.bound.Admin != nil {
		fmt.Fprintf(&b, "\n  console    http://%s/\n", reach(w.bound.Admin, 0))
	}
	b.WriteString(w.warning())
	return b.String()
}

// player is the query that makes the watch page play the demo.
func (w welcome) player() string {
	if w.demo {
		return "?stream=live/demo"
	}
	return ""
}

// warning says that strangers can publish, if they can.
func (w welcome) warning() string {
	if w.bound.RTMP == nil || len(w.open) == 0 || addrPort(w.bound.RTMP).Addr().IsLoopback() {
		return ""
	}
	who := "on " + addrPort(w.bound.RTMP).Addr().String()
	if addrPort(w.bound.RTMP).Addr().IsUnspecified() {
		who = "on all network interfaces"
	}
	return fmt.Sprintf("\n  Warning: publishing is open to everybody who reaches this machine, %s (%s).\n"+
		"  --rtmp 127.0.0.1:1935 keeps it to this machine.\n", who, strings.Join(w.open, ", "))
}

func (w welcome) rtmpURL(path string) string {
	return "rtmp://" + reach(w.bound.RTMP, 1935) + "/" + path
}

func (w welcome) httpURL(path string) string { return "http://" + reach(w.bound.HTTP, 80) + "/" + path }

// reach gives HOST[:PORT] to type on this machine for a bound address.
func reach(a net.Addr, standardPort uint16) string {
	ap := addrPort(a)
	host := "localhost"
	if !ap.Addr().IsUnspecified() {
		host = ap.Addr().Unmap().String()
		if ap.Addr().Unmap().Is6() {
			host = "[" + host + "]"
		}
	}
	if ap.Port() == standardPort {
		return host
	}
	return host + ":" + strconv.Itoa(int(ap.Port()))
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return tcp.AddrPort()
}
