package play

import "time"

// Result is a Report as programs read it: units are in the names.
type Result struct {
	Viewers        int     `json:"viewers"`
	Lost           int     `json:"lost"`
	Seconds        float64 `json:"seconds"`
	Bytes          int64   `json:"bytes"`
	BitratePerView float64 `json:"bits_per_second_per_viewer"`
	Verified       int     `json:"verified_viewers"`
	Frames         int64   `json:"verified_frames"`
	Gaps           int64   `json:"gaps"`
	Repeats        int64   `json:"repeats"`
	Damaged        int64   `json:"damaged"`
	Back           int64   `json:"clock_went_back"`
	P50MS          float64 `json:"delay_p50_ms"`
	P99MS          float64 `json:"delay_p99_ms"`
	MaxMS          float64 `json:"delay_max_ms"`
	JoinP50MS      float64 `json:"join_p50_ms"`
	JoinP99MS      float64 `json:"join_p99_ms"`
}

// Result gives the report's figures.
func (r *Report) Result() Result {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return Result{
		Viewers: r.Viewers, Lost: r.Lost, Seconds: r.Elapsed.Seconds(), Bytes: r.Bytes,
		BitratePerView: float64(r.Bytes) * 8 / r.Elapsed.Seconds() / float64(r.Viewers),
		Verified:       r.Verified, Frames: r.Check.Frames, Gaps: r.Check.Gaps, Repeats: r.Check.Repeats,
		Damaged: r.Check.Damaged, Back: r.Check.Back,
		P50MS: ms(r.Delay.Quantile(0.5)), P99MS: ms(r.Delay.Quantile(0.99)), MaxMS: ms(r.Delay.Max()),
		JoinP50MS: ms(r.Join.Quantile(0.5)), JoinP99MS: ms(r.Join.Quantile(0.99)),
	}
}
