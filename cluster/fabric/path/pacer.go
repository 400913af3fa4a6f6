package path

import "time"

// Pacer spreads what several connections send at the same moment: each paces
// itself, but all of them are woken together, and a short queue on the way does
// not hold a burst of each. It lets through twice what was sent of late. It has
// one owner.
type Pacer struct {
	at     time.Duration
	tokens float64 // bytes that may be sent at once; negative: owed
	rate   float64 // bytes a second, of late
}

// Sent notes bytes that are sent at now, and gives how long to wait before that.
func (p *Pacer) Sent(now time.Duration, bytes int) (wait time.Duration) {
	spell := (now - p.at).Seconds()
	p.at = now
	allowed := max(p.rate*paceShare, paceLeast)
	p.tokens = min(p.tokens+spell*allowed, paceBurst) - float64(bytes)
	fade := min(spell/paceSpell.Seconds(), 1)
	p.rate += float64(bytes)/paceSpell.Seconds() - p.rate*fade
	if p.tokens >= 0 {
		return 0
	}
	return min(time.Duration(-p.tokens/allowed*float64(time.Second)), paceWait)
}
