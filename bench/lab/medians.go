package lab

import "slices"

// Median is the middle of what get gives for each run, of an even number the
// upper one. There must be a run.
func Median[T any](runs []T, get func(T) float64) float64 {
	values := make([]float64, len(runs))
	for i, f := range runs {
		values[i] = get(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// Medians are the medians of each figure; faults and losses are those of the
// worst run. There must be a run.
func Medians(runs []Figures) Figures {
	of := func(get func(Figures) float64) float64 { return Median(runs, get) }
	m := Figures{
		Name: runs[0].Name, Viewers: runs[0].Viewers,
		USPerViewerSec: of(func(f Figures) float64 { return f.USPerViewerSec }),
		MSPerMB:        of(func(f Figures) float64 { return f.MSPerMB }),
		LoopMSPerMB:    of(func(f Figures) float64 { return f.LoopMSPerMB }),
		BusyShare:      of(func(f Figures) float64 { return f.BusyShare }),
		OtherShare:     of(func(f Figures) float64 { return f.OtherShare }),
		P50MS:          of(func(f Figures) float64 { return f.P50MS }),
		P99MS:          of(func(f Figures) float64 { return f.P99MS }),
		JoinP99MS:      of(func(f Figures) float64 { return f.JoinP99MS }),
		Delivered:      of(func(f Figures) float64 { return f.Delivered }),
		RSSBytes:       int64(of(func(f Figures) float64 { return float64(f.RSSBytes) })),
		HeapBytes:      int64(of(func(f Figures) float64 { return float64(f.HeapBytes) })),
	}
	for _, f := range runs {
		m.Lost, m.Faults = max(m.Lost, f.Lost), max(m.Faults, f.Faults)
	}
	return m
}
