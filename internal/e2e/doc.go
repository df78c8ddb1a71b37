// Package e2e holds no code, only tests that drive the program as its users do: the binary itself, its streams, its
// exit codes, and its files.
package e2e
