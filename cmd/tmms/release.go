//go:build !next

package main

// release is behind the version of what tests build as the next release.
const release = ""
