package fmp4

import "tmms/media/hevc"

// openHEVC carries HEVC as hvc1 (ISO/IEC 14496-15 section 8.4).
func openHEVC(config []byte) (*codec, error) {
	cfg, err := hevc.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	c := &codec{
		fourCC: "hvc1", name: cfg.Codec(), config: box("hvcC", config), copy: lengthSize(cfg.LengthSize).copyUnit,
	}
	if sps, err := hevc.ParseSPS(cfg.SPS[0]); err == nil {
		c.picture(sps.Width, sps.Height, uint64(sps.FrameRateNum), uint64(sps.FrameRateDen))
	}
	return c, nil
}
