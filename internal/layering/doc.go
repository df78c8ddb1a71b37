// Package layering holds no code, only the test that keeps the packages in their order (docs/ARCHITECTURE.md).
package layering
