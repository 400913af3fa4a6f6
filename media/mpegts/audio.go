package mpegts

import (
	"fmt"

	"tmms/media/aac"
	"tmms/media/ac3"
	"tmms/media/mp3"
)

// adts is AAC: raw frames in, ADTS out.
type adts struct{ cfg *aac.Config }

func openAAC(config []byte) (elementary, error) {
	cfg, err := aac.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	if err := cfg.CheckADTS(); err != nil {
		return nil, fmt.Errorf("%w this AAC: %w", ErrUnsupported, err)
	}
	return adts{cfg}, nil
}

func (a adts) append(dst, frame []byte, _ bool) (es []byte, start bool, err error) {
	es, err = a.cfg.AppendADTS(dst, frame)
	return es, true, err
}
func (a adts) streamType() byte    { return typeADTS }
func (a adts) descriptors() []byte { return nil }
func (a adts) dropped() uint64     { return 0 }
func (a adts) ticks([]byte) int64 {
	return int64(a.cfg.FrameSamples) * Clock / int64(a.cfg.SampleRate)
}

// mpegAudio is MP3: frames pass unchanged.
type mpegAudio struct{ version mp3.Version }

func openMP3(frame []byte) (elementary, error) {
	if len(frame) == 0 {
		return &mpegAudio{}, nil
	}
	h, err := mp3.ParseHeader(frame)
	if err != nil {
		return nil, err
	}
	return &mpegAudio{version: h.Version}, nil
}

func (a *mpegAudio) append(dst, frame []byte, _ bool) (es []byte, start bool, err error) {
	h, err := mp3.ParseHeader(frame)
	if err != nil {
		return dst, false, err
	}
	a.version = h.Version
	return append(dst, frame...), true, nil
}

func (a *mpegAudio) ticks(frame []byte) int64 {
	h, samples, err := mp3.Frames(frame)
	if err != nil {
		return 0
	}
	return int64(samples) * Clock / int64(h.SampleRate)
}

// streamType follows ISO/IEC 13818-1: 0x03 for ISO/IEC 11172-3, 0x04 for the
// lower rates of ISO/IEC 13818-3.
func (a *mpegAudio) streamType() byte {
	if a.version == mp3.MPEG1 {
		return typeMPEG1Audio
	}
	return typeMPEG2Audio
}

func (a *mpegAudio) descriptors() []byte { return nil }
func (a *mpegAudio) dropped() uint64     { return 0 }

// dolby is AC-3 or E-AC-3: syncframes pass unchanged. Both go as ATSC has them
// (A/52 annexes A and G), with a stream type of their own, and not as DVB has
// them, as private data with a descriptor: HLS has only the former, and players
// of DVB know both.
type dolby struct{ enhanced bool }

func openAC3(frame []byte) (elementary, error)  { return openDolby(dolby{false}, frame) }
func openEAC3(frame []byte) (elementary, error) { return openDolby(dolby{true}, frame) }

// openDolby accepts a configuration: a frame of the stream, or none.
func openDolby(d dolby, frame []byte) (elementary, error) {
	if len(frame) > 0 {
		if err := d.check(frame); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d dolby) check(frame []byte) error {
	u, err := ac3.ParseUnit(frame)
	if err == nil && u.First.EAC3 != d.enhanced {
		return fmt.Errorf("%w: bsid %d is that of the other of AC-3 and E-AC-3", ac3.ErrMalformed, u.First.BSID)
	}
	return err
}

func (d dolby) append(dst, frame []byte, _ bool) (es []byte, start bool, err error) {
	if err := d.check(frame); err != nil {
		return dst, false, err
	}
	return append(dst, frame...), true, nil
}

func (d dolby) ticks(frame []byte) int64 {
	u, err := ac3.ParseUnit(frame)
	if err != nil {
		return 0
	}
	return int64(u.Samples) * Clock / int64(u.First.SampleRate)
}

func (d dolby) streamType() byte {
	if d.enhanced {
		return typeEAC3
	}
	return typeAC3
}

func (d dolby) descriptors() []byte {
	if d.enhanced {
		return registration("EAC3")
	}
	return registration("AC-3")
}

func (d dolby) dropped() uint64 { return 0 }
