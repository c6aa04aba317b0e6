//go:build tools

// Package tools pins the program that this folder builds.
package tools

import _ "github.com/containerd/containerd/v2/cmd/ctr"
