package member

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Again asks the leader for what may be asked for twice until one has done it or
// refused it, or ctx ends: a leader may be lost or give its place up meanwhile.
func Again[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	for pause := retryPause; ; pause = min(2*pause, maxRetryPause) {
		answer, err := ask(ctx)
		if !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrUncertain) {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(jitter(pause)):
		}
	}
}
