//go:build tools

// Package tools pins the program that this folder builds.
package tools

import _ "oras.land/oras/cmd/oras"
