// Package installer lets a distribution's own installer put a system on an empty disk,
// by a file of answers and over the serial line alone, under QEMU, as any user.
//
// It knows four kinds of answers: preseed (Debian), kickstart (Fedora, RedHat and kin),
// autoyast (SUSE) and autoinstall (Ubuntu's live server). An installer is an ISO, or a
// folder, here or on the web, that has a kernel and a ramdisk by the names of its kind.
// The kernel is started directly, so that its arguments can be given.
//
// An installation is over when the guest switches itself off or starts anew. Its time is
// bounded by progress: as long as it says or writes something, it is let be.
package installer
