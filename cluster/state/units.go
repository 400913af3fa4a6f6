package state

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written as text, such as "3s" or "250ms".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("must be a duration such as 3s or 250ms, not %q", clip(string(b)))
	}
	*d = Duration(v)
	return nil
}

// String gives the text form without empty units: "1m", not "1m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ByteSize is a number of bytes that may be written as a number or as text
// with a binary unit: 65536, "64KiB", "32MiB", "1GiB".
type ByteSize int64

// MarshalText implements encoding.TextMarshaler; the largest unit that divides
// the size is used.
func (s ByteSize) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *ByteSize) UnmarshalText(b []byte) error {
	digits, shift := string(b), 0
	for i, unit := range byteUnits() {
		if rest, ok := strings.CutSuffix(digits, unit); ok {
			digits, shift = strings.TrimSpace(rest), 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("must be a size such as 65536, 64KiB or 32MiB, not %q", clip(string(b)))
	}
	*s = ByteSize(n << shift)
	return nil
}

// String gives the text form.
func (s ByteSize) String() string {
	n, unit := int64(s), ""
	for _, u := range byteUnits() {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, u
	}
	return strconv.FormatInt(n, 10) + unit
}

func byteUnits() [3]string { return [3]string{"KiB", "MiB", "GiB"} }
