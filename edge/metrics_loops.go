package edge

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/edge/reactor"
)

// loopMetrics tells how long the turns of the loops take, and what they accept.
type loopMetrics struct {
	loops []*reactor.Loop

	turns, longest, overdue, overruns *prometheus.Desc
	accepted, failed, refused         *prometheus.Desc
}

func newLoopMetrics(loops []*reactor.Loop) *loopMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tmms_edge_"+name, help, labels, nil)
	}
	return &loopMetrics{
		loops:    loops,
		turns:    desc("loop_turn_seconds", "Time that a loop's turn took, without its wait.", "loop"),
		longest:  desc("loop_longest_turn_seconds", "The longest turn, lately.", "loop"),
		overdue:  desc("loop_overdue_seconds", "How long a loop's present turn has lasted, or how late it wakes up.", "loop"),
		overruns: desc("loop_overruns_total", "Turns of more than 20 ms, by the phase that took most of them.", "loop", "phase"),
		accepted: desc("accepted_total", "Connections accepted.", "loop"),
		failed:   desc("accept_errors_total", "Accepts that failed, for want of file descriptors or otherwise.", "loop"),
		refused:  desc("refused_total", "Connections closed at once: their address had as many as it may.", "loop"),
	}
}

// Describe implements prometheus.Collector.
func (m *loopMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.turns, m.longest, m.overdue, m.overruns, m.accepted, m.failed, m.refused} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *loopMetrics) Collect(ch chan<- prometheus.Metric) {
	for i, l := range m.loops {
		s := l.Stats()
		loop := strconv.Itoa(i)
		ch <- m.turnTimes(&s, loop)
		for d, v := range map[*prometheus.Desc]float64{m.longest: s.LongestTurn.Seconds(), m.overdue: s.Overdue.Seconds()} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, loop)
		}
		for d, n := range map[*prometheus.Desc]uint64{
			m.accepted: s.Accepted, m.failed: s.AcceptErrors, m.refused: s.Refused,
		} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), loop)
		}
		for _, p := range reactor.Phases() {
			ch <- prometheus.MustNewConstMetric(m.overruns, prometheus.CounterValue, float64(s.Overruns[p]), loop, p.String())
		}
	}
}

func (m *loopMetrics) turnTimes(s *reactor.Stats, loop string) prometheus.Metric {
	buckets := map[float64]uint64{}
	count := uint64(0)
	for i, bound := range reactor.TurnBounds() {
		count += s.TurnTimes[i]
		buckets[bound.Seconds()] = count
	}
	count += s.TurnTimes[len(s.TurnTimes)-1]
	return prometheus.MustNewConstHistogram(m.turns, count, s.Busy.Seconds(), buckets, loop)
}
