// Package e2e holds the tests with real parts: the binary itself, Debian's
// OpenStack clients, and guests under QEMU. They run with HEARTH_E2E=1, which
// scripts/e2e sets, as root.
package e2e
