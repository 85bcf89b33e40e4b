// Package inside is what runs in the appliance: the first program of a small guest
// whose kernel mounts file systems that nothing on the host reads. It gets its job
// with its ramdisk, says how far it is and what came of it on its second serial line,
// a JSON object a line, and resets the machine.
package inside

import "slices"

// JobFile is where the job lies in the ramdisk; the files that it names beside it.
const JobFile = "/job/job.json"

// ModuleDir has the kernel's modules, by names in the order that they are loaded in.
const ModuleDir = "/modules"

// Line is the serial line that the results go to.
const Line = "/dev/ttyS1"

// Verbs of a [Step].
const (
	Copy   = "copy"   // the tree of Disk to To, which is empty
	Edit   = "edit"   // the commands of Script on Disk
	Grow   = "grow"   // Disk's file system to all that the disk has
	Shrink = "shrink" // a btrfs as small as it becomes
)

// Job is what the appliance does, step by step; the first that fails ends it.
type Job struct {
	Steps []Step `json:"steps"`
}

// Kinds are the file systems that it mounts, in order, each once.
func (j Job) Kinds() []string {
	var list []string
	for _, s := range j.Steps {
		for _, kind := range []string{s.Disk.Kind, s.To.Kind} {
			if kind != "" {
				list = append(list, kind)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Step is one thing to do.
type Step struct {
	Do     string `json:"do"`
	Disk   Disk   `json:"disk"`
	To     Disk   `json:"to"`
	Script string `json:"script,omitempty"` // as debugfs takes it, see edit.go
	Sums   bool   `json:"sums,omitempty"`
}

// Disk is a file system on a disk of the guest.
type Disk struct {
	Device string `json:"device"` // "/dev/vda"
	Kind   string `json:"kind"`   // as mount(2) has it
	UUID   string `json:"uuid"`   // by which its own fstab may name it
	Tree   bool   `json:"tree"`   // of a btrfs: with the subvolumes that its fstab mounts
}

// Report is a line that the appliance writes.
type Report struct {
	Files int64    `json:"files,omitempty"` // so far
	Bytes int64    `json:"bytes,omitempty"`
	Size  int64    `json:"size,omitempty"` // of the file system that was changed
	Used  int64    `json:"used,omitempty"`
	Notes []string `json:"notes,omitempty"`
	Error string   `json:"error,omitempty"`
	Full  bool     `json:"full,omitempty"` // with Error: there was no room
	Done  bool     `json:"done,omitempty"` // the job is done, with or without Error
}
