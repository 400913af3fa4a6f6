// Package watch has the tests of what operators watch tmms with: the rules of
// deploy/prometheus, the dashboards of deploy/grafana, the section "Alerts" of
// docs/operations.md and the figures of docs/capacity.md. It has no code of its own.
package watch
