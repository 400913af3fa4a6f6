package admin

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// tokensInterval is how often the tokens file is looked at.
const tokensInterval = 5 * time.Second

// followTokens takes a changed tokens file without a restart, until ctx ends. One that
// is wrong changes nothing, and is said once.
func (s *Server) followTokens(ctx context.Context, interval time.Duration) {
	if s.file == "" {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for last := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		tokens, err := loadTokens(s.file)
		switch {
		case err != nil && err.Error() != last:
			last = err.Error()
			s.deps.Log.Error("admin tokens were not reloaded; those before are in force", slog.Any("err", err))
		case err == nil && !slices.Equal(tokens, *s.tokens.Load()):
			s.tokens.Store(&tokens)
			s.deps.Log.Info("admin tokens were reloaded", slog.Int("tokens", len(tokens)))
			fallthrough
		case err == nil:
			last = ""
		}
	}
}
