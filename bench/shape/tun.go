package shape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

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

// device is a TUN device, which goes when it is closed.
type device struct {
	name  string
	fd    int      // does not block
	stats *os.File // of all devices of the namespace
}

// openDevice makes the end's device.
func openDevice(ctx context.Context, e End, mtu int) (d *device, err error) {
	d = &device{name: e.device(), fd: -1}
	err = within(e.Namespace, func() (err error) {
		if d.fd, err = tun(d.name); err != nil {
			return err
		}
		d.stats, err = os.Open("/proc/thread-self/net/dev")
		return err //nolint:wrapcheck // it has the path
	})
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err = d.setUp(ctx, e, mtu); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// setUp gives the device its addresses.
func (d *device) setUp(ctx context.Context, e End, mtu int) error {
	name := d.name
	steps := append(make([][]string, 0, 2+len(e.Addresses)),
		[]string{"link", "set", name, "addrgenmode", "none"}, // no packets but those of the tests
		[]string{"link", "set", name, "mtu", strconv.Itoa(mtu), "txqueuelen", strconv.Itoa(deviceQueue), "up"},
	)
	for _, a := range e.Addresses {
		add := []string{"addr", "add", a.String(), "dev", name}
		if a.Addr().Is6() {
			add = append(add, "nodad")
		}
		steps = append(steps, add)
	}
	for _, step := range steps {
		if err := e.ip(ctx, step...); err != nil {
			return err
		}
	}
	return nil
}

// close removes the device.
func (d *device) close() (err error) {
	if d == nil {
		return nil
	}
	if d.fd >= 0 {
		err = unix.Close(d.fd)
		d.fd = -1
	}
	if d.stats != nil {
		err = errors.Join(err, d.stats.Close())
		d.stats = nil
	}
	return err
}

// missed is how many packets the kernel had no room for before we read them: the
// twelfth number of the device's line (proc_net_dev(5)).
func (d *device) missed() (int64, error) {
	b := make([]byte, 64<<10)
	n, err := d.stats.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("shape: statistics of %s: %w", d.name, err)
	}
	for line := range strings.Lines(string(b[:n])) {
		name, numbers, ok := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Fields(numbers)
		if ok && name == d.name && len(fields) > 11 {
			return strconv.ParseInt(fields[11], 10, 64) //nolint:wrapcheck // the kernel's own number
		}
	}
	return 0, fmt.Errorf("shape: no statistics of %s", d.name)
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
