// Package terraform has the tests of the Terraform modules beside it: what they plan and
// render, and what comes of it when it is carried out. It has no code of its own.
package terraform
