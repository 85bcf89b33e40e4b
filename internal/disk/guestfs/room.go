package guestfs

import (
	"fmt"
	"os"
	"syscall"

	"hearth/internal/disk"
)

// demand is what one change takes of a file system, or, of a file that goes, gives back.
type demand struct {
	bytes, inodes int64
	gone          *Node // nil: it takes
}

// takes notes that a change gives a volume a file of so many bytes.
func (e *Edit) takes(v *Volume, bytes int64) {
	e.demands[v] = append(e.demands[v], demand{bytes: bytes, inodes: 1})
}

// gives notes that a file goes.
func (e *Edit) gives(n *Node) { e.demands[n.Volume] = append(e.demands[n.Volume], demand{gone: n}) }

// size is how many bytes a content stores.
func (c content) size() int64 {
	if c.path == "" {
		return int64(len(c.data))
	}
	st, err := os.Stat(c.path)
	if err != nil {
		return 0
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return min(st.Size(), s.Blocks*512) // holes stay holes
	}
	return st.Size()
}

// fits refuses changes for which a file system has no room, before the first is made:
// debugfs would make a part of them. One that the appliance changes tells by itself.
func (e *Edit) fits(v *Volume) error {
	if v.mirror != nil {
		return nil
	}
	free, inodes := v.fs.Free()
	free /= v.fs.BlockSize
	var need, files int64
	for _, d := range e.demands[v] {
		need, files = need+v.blocks(d.bytes), files+d.inodes
	}
	if need <= free && files <= inodes {
		return nil
	}
	for _, d := range e.demands[v] { // in their order, with what goes on the way
		if d.gone != nil {
			free, inodes = free+v.heldBy(d.gone), inodes+freed(d.gone)
			continue
		}
		if free, inodes = free-v.blocks(d.bytes), inodes-d.inodes; free < 0 || inodes < 0 {
			has, left := v.fs.Free()
			return &disk.Error{Kind: disk.TooBig, Op: "change files", Reason: fmt.Sprintf("they need %d bytes and %d files, the file system has room for %d bytes and %d files; nothing was changed: 'hearth image grow' makes room", need*v.fs.BlockSize, files, has, left)}
		}
	}
	return nil
}

// blocks is how many a file of so many bytes may need, with one for each so many that
// says where they lie, or for its folder.
func (v *Volume) blocks(bytes int64) int64 {
	n := (bytes + v.fs.BlockSize - 1) / v.fs.BlockSize
	if n == 0 {
		return 0
	}
	return n + 1 + n/(v.fs.BlockSize/16)
}

// freed is 1 if a file's inode is free when the name goes.
func freed(n *Node) int64 {
	if n.Links > 1 && !n.IsDir() {
		return 0
	}
	return 1
}

// heldBy is how many blocks are free when the name of a file goes.
func (v *Volume) heldBy(n *Node) (blocks int64) {
	if freed(n) == 0 || !n.IsRegular() && !n.IsDir() {
		return 0
	}
	data, err := v.fs.Data(n.Inode)
	if err != nil {
		return 0
	}
	for _, p := range data.Places() {
		blocks += p.Length / v.fs.BlockSize
	}
	return blocks
}
