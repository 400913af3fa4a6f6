package faults

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tmms/bench/history"
)

// Report is what a run has found.
type Report struct {
	Seed    uint64          `json:"seed"`
	Began   time.Time       `json:"began"`
	Seconds float64         `json:"seconds"`
	Cases   []*Result       `json:"cases"`
	History history.Verdict `json:"history"`
	Pass    bool            `json:"pass"`
}

// Result is what a case has found.
type Result struct {
	Name     string     `json:"case"`
	Rounds   int        `json:"rounds"`
	Measured []*Measure `json:"measured"`
	Faults   []string   `json:"faults"` // the first 50
	Pass     bool       `json:"pass"`
}

// Measure is a time that was measured in each round, in ms, and its limits; 0: none.
type Measure struct {
	Name    string    `json:"name"`
	P50     float64   `json:"p50_ms"`
	P99     float64   `json:"p99_ms"`
	Max     float64   `json:"max_ms"`
	HalfMax float64   `json:"limit_p50_ms,omitempty"`
	Limit   float64   `json:"limit_ms,omitempty"`
	N       int       `json:"n"`
	times   []float64 // ms
}

func ms(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}

// took notes a time and its limit.
func (r *Result) took(name string, d, limit time.Duration) *Measure {
	i := slices.IndexFunc(r.Measured, func(m *Measure) bool { return m.Name == name })
	if i < 0 {
		i = len(r.Measured)
		r.Measured = append(r.Measured, &Measure{Name: name, Limit: ms(limit)})
	}
	r.Measured[i].times = append(r.Measured[i].times, ms(d))
	return r.Measured[i]
}

// fault notes what must not be.
func (r *Result) fault(format string, args ...any) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Sprintf("round %d: ", r.Rounds)+fmt.Sprintf(format, args...))
	}
}

// check is fault for an error, if there is one.
func (r *Result) check(err error) bool {
	if err != nil {
		r.fault("%v", err)
	}
	return err == nil
}

// Close judges what was measured.
func (r *Result) Close() {
	for _, m := range r.Measured {
		m.close()
		if m.Limit > 0 && m.Max > m.Limit {
			r.Faults = append(r.Faults, fmt.Sprintf("%s took up to %.0f ms, the limit is %.0f ms", m.Name, m.Max, m.Limit))
		}
		if m.HalfMax > 0 && m.P50 > m.HalfMax {
			r.Faults = append(r.Faults, fmt.Sprintf("%s took %.0f ms at p50, the limit is %.0f ms", m.Name, m.P50, m.HalfMax))
		}
	}
	if r.Faults == nil {
		r.Faults = []string{}
	}
	if r.Measured == nil {
		r.Measured = []*Measure{}
	}
	r.Pass = len(r.Faults) == 0
}

func (m *Measure) close() {
	sorted := slices.Sorted(slices.Values(m.times))
	at := func(q float64) float64 { return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)] }
	m.N, m.P50, m.P99, m.Max = len(sorted), at(0.5), at(0.99), sorted[len(sorted)-1]
}

// Text writes the report for people.
func (r *Report) Text(to io.Writer) {
	fmt.Fprintf(to, "%-22s %6s  %-5s %-26s %8s %8s %8s %9s\n",
		"case", "rounds", "", "measured (ms)", "p50", "p99", "max", "limit")
	for _, c := range r.Cases {
		name, verdict := c.Name, map[bool]string{true: "PASS", false: "FAIL"}[c.Pass]
		fmt.Fprintf(to, "%-22s %6d  %-5s", name, c.Rounds, verdict)
		for i, m := range c.Measured {
			if i > 0 {
				fmt.Fprintf(to, "%-36s", "")
			}
			limit := "-"
			if m.Limit > 0 {
				limit = fmt.Sprintf("%.0f", m.Limit)
			}
			if m.HalfMax > 0 {
				limit = fmt.Sprintf("%.0f/%s", m.HalfMax, limit)
			}
			fmt.Fprintf(to, " %-26s %8.0f %8.0f %8.0f %9s\n", m.Name, m.P50, m.P99, m.Max, limit)
		}
		if len(c.Measured) == 0 {
			fmt.Fprintln(to)
		}
		for _, f := range c.Faults {
			fmt.Fprintln(to, "    "+strings.ReplaceAll(f, "\n", "\n    "))
		}
	}
	h := r.History
	verdict := "linearizable"
	if h.Fault != "" {
		verdict = "FAIL " + h.Fault
	}
	fmt.Fprintf(to, "history: %d operations on the config, %d with unknown outcome, %d on placements: %s\n",
		h.Config, h.Open, h.Placements, verdict)
	fmt.Fprintf(to, "%s in %.0f s, seed %d\n", map[bool]string{true: "PASS", false: "FAIL"}[r.Pass], r.Seconds, r.Seed)
}
