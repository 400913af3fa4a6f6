package member

import (
	"context"
	"fmt"

	"tmms/cluster/state"
)

// PutToken puts a token in force by which nodes may get certificates; its beginning is
// set here, its end lifeMS after that.
func (w *Writes) PutToken(ctx context.Context, t state.JoinToken, lifeMS int64) (state.JoinToken, error) {
	t.AtUnixMS = w.now().UnixMilli()
	t.UntilUnixMS = t.AtUnixMS + lifeMS
	if _, err := w.Propose(ctx, state.PutToken{Token: t}); err != nil {
		return t, fmt.Errorf("put token: %w", err)
	}
	return t, nil
}

// UseToken lets a node in; the time is set here. See [state.UseToken].
func (w *Writes) UseToken(ctx context.Context, c state.UseToken) (state.JoinToken, error) {
	c.AtUnixMS = w.now().UnixMilli()
	result, err := w.Propose(ctx, c)
	if err != nil {
		return state.JoinToken{}, fmt.Errorf("use token: %w", err)
	}
	return resultOf[state.JoinToken](result)
}

// DropToken takes a token out of force.
func (w *Writes) DropToken(ctx context.Context, id string) error {
	if _, err := w.Propose(ctx, state.DropToken{ID: id, AtUnixMS: w.now().UnixMilli()}); err != nil {
		return fmt.Errorf("drop token: %w", err)
	}
	return nil
}
