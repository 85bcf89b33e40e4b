// Package qemu runs guests as QEMU processes, started directly and driven over QMP.
//
// A process is given everything it needs as open descriptors: its disks, its log, its sockets, its taps. So it needs
// no right to any file: it runs as an unprivileged user of its own, in a seccomp sandbox, and can reach neither
// another guest's disk nor the cached images by name, though the data directory is closed to all but Hearth. The
// listening QMP socket is made here before QEMU is, so nobody waits for it to appear (LAB.md 1: 20 ms to the greeting).
//
// Descriptor 3 of each process is the lock file in its guest's directory, open and locked. That is how guests of an
// agent that was killed between the start and the first note of it are found: the kernel lists who has which file open.
//
// QEMU is started with "-action shutdown=pause": a guest that switches itself off leaves its process in the state
// "shutdown", where Recover finds it however much later. A missing process therefore never means a tidy poweroff.
//
// The serial console is a socket that also appends to a log file. QEMU does not bound such a file, so the
// driver cuts its head off, every few seconds while it watches the guest and at once when it recovers one. While no
// agent runs, the log grows as fast as the guest prints.
//
// Guests live in sessions of their own. A service manager must be told to end hearth alone (systemd: KillMode=process).
package qemu
