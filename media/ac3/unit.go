package ac3

import (
	"fmt"
	"math/bits"
)

// Unit is what the syncframes of an access unit come to.
type Unit struct {
	First   Header // of the first frame, which is of the program that plays
	Samples int    // that the program plays
	Frames  int
	// Dependent counts the dependent substreams of the program, and ChannelMap is
	// all that they say of where their channels are: 7.1 channels are an
	// independent frame of 5.1 and a dependent one.
	Dependent  int
	ChannelMap uint16
}

// Channels are those of the program, the low frequency ones too: the first
// frame's, and what dependent substreams add to them. Where these say L, C, R, Ls,
// Rs or LFE again, theirs stand in for the first frame's (A/52 table E2.5).
func (u *Unit) Channels() int {
	const (
		pairs   = 0x0674 // Lc/Rc, Lrs/Rrs, Lsd/Rsd, Lw/Rw, Vhl/Vhr, Lts/Rts
		singles = 0x018A // Cs, Ts, Vhc, LFE2
	)
	return u.First.Channels + 2*bits.OnesCount16(u.ChannelMap&pairs) + bits.OnesCount16(u.ChannelMap&singles)
}

// ParseUnit reads the headers of the whole frames that b consists of, as an
// access unit may have several. The error wraps [ErrMalformed]: the first
// frame's header is wrong, or dependent; what is wrong further back ends the count only.
func ParseUnit(b []byte) (Unit, error) {
	first, err := ParseHeader(b)
	if err != nil {
		return Unit{}, err
	}
	if first.StreamType == Dependent {
		return Unit{}, fmt.Errorf("%w: access unit begins with a dependent frame: % x", ErrMalformed, b[:HeaderSize])
	}
	u := Unit{First: first}
	substreams := uint(0) // of the program: a bit for each id of a dependent one
	ours := true
	for h := first; ; {
		u.Frames++
		if h.StreamType != Dependent {
			ours = h.SubstreamID == first.SubstreamID
			if ours {
				u.Samples += h.Samples
			}
		} else if ours {
			substreams |= 1 << h.SubstreamID
			u.ChannelMap |= h.ChannelMap
		}
		if h.FrameSize >= len(b) {
			break
		}
		b = b[h.FrameSize:]
		if h, err = ParseHeader(b); err != nil || h.SampleRate != first.SampleRate {
			break
		}
	}
	u.Dependent = bits.OnesCount(substreams)
	return u, nil //nolint:nilerr // trailing bytes are no frame
}
