// Package disk is the kitchen: it knows disk image formats, partition tables
// and file systems, and cuts images to size without ever mounting them.
//
// Bytes of guests are hostile. They are read here with bounds, in Go, or by a
// tool (qemu-img, e2fsck, resize2fs, debugfs) in the sandbox of [Runner]: a
// named format, a clean environment, limits on time, memory and file size,
// no network, and sight of nothing but the files it was given.
//
// All sizes and offsets are bytes unless a name says otherwise.
package disk
