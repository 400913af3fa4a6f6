// Package host has the tests of what a release makes of a host: that it is the same bytes
// wherever it is built, and how its Debian package, its unit, the install script of
// deploy/terraform/modules/user-data and its image run. They boot a systemd of their own
// in namespaces, as root, and take minutes: make deploy-test. The package has no code of
// its own.
package host
