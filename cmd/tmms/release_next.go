//go:build next

package main

// release says that this was built as the next release, for tests: see ADR 11.
const release = "+next"
