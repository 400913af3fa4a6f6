package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Apply puts a domains.yaml in force on a tmms.
func (l *Lab) Apply(ctx context.Context, s *Server, domains string) error {
	file := filepath.Join(l.dir, "domains.yaml")
	if err := os.WriteFile(file, []byte(domains), 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	msg, err := l.Command(ctx, GeneratorCPU, "tmms", "apply", "-f", file, "--api", "http://"+s.Admin).Output()
	if err != nil {
		return fmt.Errorf("lab: apply: %w\n%s", err, msg)
	}
	return nil
}
