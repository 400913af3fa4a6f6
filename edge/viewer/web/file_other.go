//go:build !linux

package web

import "errors"

func memoryFile([][]byte) (int, error) { return -1, errors.ErrUnsupported }

func closeFile(int) {}
