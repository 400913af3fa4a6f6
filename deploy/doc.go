// Package deploy has the tests of the ways to run tmms that lie beside it: of the unit, and
// of the configs of compose.yaml and of the manifests. It has no code of its own. The tests
// of the Terraform modules are in deploy/terraform; those of the release, and of what runs
// for real, in deploy/host; those that need other tools' parsers in deploy/check.
package deploy
