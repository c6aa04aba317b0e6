//go:build tools

// Package tools pins the program that this folder builds.
package tools

import _ "github.com/distribution/distribution/v3/cmd/registry"
