package shape

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// End is one side of a link.
type End struct {
	Namespace string // "" is the process's own
	Device    string // of the TUN device; "" is "shape0"
	// Addresses of the device with their subnets, as many as wanted, IPv4 or IPv6.
	Addresses []netip.Prefix
}

func (e End) device() string {
	if e.Device == "" {
		return "shape0"
	}
	return e.Device
}

// ip gives an ip command for the end's namespace.
func (e End) ip(ctx context.Context, args ...string) error {
	if e.Namespace != "" {
		args = append([]string{"-n", e.Namespace}, args...)
	}
	return IP(ctx, args...)
}

// deviceQueue is how many packets the kernel keeps for us: what 1 Gbit/s brings
// while the link's thread waits for a processor for 50 ms.
const deviceQueue = 5000

// openTUN makes the end's device and gives its descriptor, which does not block.
// The device goes when it is closed.
func openTUN(ctx context.Context, e End, mtu int) (fd int, err error) {
	err = within(e.Namespace, func() (err error) {
		fd, err = tun(e.device())
		return err
	})
	if err != nil {
		return -1, err
	}
	name := e.device()
	steps := [][]string{
		{"link", "set", name, "addrgenmode", "none"}, // no packets but those of the tests
		{"link", "set", name, "mtu", strconv.Itoa(mtu), "txqueuelen", strconv.Itoa(deviceQueue), "up"},
	}
	for _, a := range e.Addresses {
		add := []string{"addr", "add", a.String(), "dev", name}
		if a.Addr().Is6() {
			add = append(add, "nodad")
		}
		steps = append(steps, add)
	}
	for _, step := range steps {
		if err = e.ip(ctx, step...); err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
	}
	return fd, nil
}

// tun makes a TUN device in the thread's namespace.
func tun(name string) (fd int, err error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return -1, fmt.Errorf("shape: device name %q: %w", name, err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "shape: open", Path: "/dev/net/tun", Err: err}
	}
	if err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return -1, errors.Join(fmt.Errorf("shape: TUN device %s, which only root can make: %w", name, err), unix.Close(fd))
	}
	return fd, nil
}
