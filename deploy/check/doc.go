// Package check judges the ways to run tmms by what their tools read them with: manifests
// by the types of Kubernetes, compose.yaml by its specification's loader, the Dockerfile by
// BuildKit's parser.
package check
