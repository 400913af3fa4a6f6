//go:build !next

package admin

// laterRoutes are those that the next release adds: see release_next.go and ADR 11.
func (*Server) laterRoutes() []route { return nil }
