//go:build tools

// Package tools pins the program that this folder builds.
package tools

import _ "github.com/modelpack/model-csi-driver/cmd/model-csi-driver"
