// Package lvm reads what LVM2 has written on a disk: which logical volumes lie where,
// and lays them out anew, see [Group]. Only what one physical volume holds by itself is
// found, without device mapper and without trust: every number is held against the size
// of the disk.
//
// Source: lib/format_text of LVM2 (layout.h, the metadata's text), man lvmsystemid.
package lvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"hearth/internal/disk"
)

// Volume is a logical volume.
type Volume struct {
	Group, Name string
	Start, Size int64  // in the disk, bytes, if it lies there in one piece
	Note        string // why it cannot be read here; "" if it can
}

const (
	sector     = 512
	maxText    = 4 << 20 // of the metadata
	maxVolumes = 1024
	magic      = " LVM2 x[5A%r0N*>"
)

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Refused, Op: "read LVM", Reason: fmt.Sprintf(format, args...)}
}

// Read reads the physical volume that begins at start and has size bytes. Errors are of
// kind Refused, or the reader's own.
func Read(r io.ReaderAt, start, size int64) ([]Volume, error) {
	g, err := Open(r, start, size)
	if err != nil {
		return nil, err
	}
	return g.volumes(), nil
}

// Open reads the volume group of the physical volume that begins at start and has size
// bytes, as [Read] does.
func Open(r io.ReaderAt, start, size int64) (*Group, error) {
	g := &Group{start: start, size: size}
	id, text, err := g.metadata(r)
	if err != nil {
		return nil, err
	}
	if g.top, err = parse(text); err != nil {
		return nil, err
	}
	for _, name := range g.top.order {
		if vg, ok := g.top.values[name].(*section); ok && vg.values["extent_size"] != nil {
			g.name, g.s = name, vg
			return g, g.place(id)
		}
	}
	return nil, refuse("the metadata has no volume group")
}

// metadata finds the text of a physical volume, and its identity without hyphens.
func (g *Group) metadata(r io.ReaderAt) (id string, text []byte, err error) {
	head := make([]byte, 4*sector)
	if g.size < int64(len(head)) {
		return "", nil, refuse("it has %d bytes", g.size)
	}
	if err := read(r, head, g.start, g.size, 0); err != nil {
		return "", nil, err
	}
	le := binary.LittleEndian
	for i := range 4 {
		label := head[i*sector : (i+1)*sector]
		if string(label[:8]) != "LABELONE" || string(label[24:32]) != "LVM2 001" {
			continue
		}
		at := le.Uint32(label[20:])
		if at < 32 || at > 256 {
			return "", nil, refuse("the header of the physical volume lies at byte %d of its label", at)
		}
		h := label[at:]
		id = string(h[:32])
		g.label, g.header = bytes.Clone(label), int(at)
		g.labelAt = int64(i) * sector
		g.areas(h[40:])
		if len(g.meta) == 0 {
			return "", nil, refuse("the physical volume has no metadata; its group has them elsewhere")
		}
		text, err := area(r, g.start, g.size, g.meta[0][0], g.meta[0][1])
		return id, text, err
	}
	return "", nil, refuse("there is no label of LVM2")
}

// areas reads the places of data, then of metadata; each list ends with an empty one.
func (g *Group) areas(h []byte) {
	le := binary.LittleEndian
	for lists := 0; len(h) >= 16 && lists < 2; h = h[16:] {
		offset := le.Uint64(h)
		switch {
		case offset == 0:
			lists++
		case lists == 1:
			g.meta = append(g.meta, [2]int64{int64(offset), int64(le.Uint64(h[8:]))})
		}
	}
}

func read(r io.ReaderAt, p []byte, start, size, at int64) error {
	if at < 0 || at > size-int64(len(p)) {
		return refuse("byte %d lies outside of the physical volume", at)
	}
	_, err := r.ReadAt(p, start+at)
	if errors.Is(err, io.EOF) {
		return refuse("the disk ends within the physical volume")
	}
	return err
}

// area reads the text of a metadata area, which is a ring behind its header.
func area(r io.ReaderAt, start, size, at, length int64) ([]byte, error) {
	head := make([]byte, sector)
	if length < 2*sector {
		return nil, refuse("the area of the metadata has %d bytes", length)
	}
	if err := read(r, head, start, size, at); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	offset, n := int64(le.Uint64(head[40:])), int64(le.Uint64(head[48:]))
	if string(head[4:20]) != magic || n <= 0 || n > maxText || n > length-sector || offset < sector || offset >= length {
		return nil, refuse("the header of the metadata contradicts itself")
	}
	text := make([]byte, n)
	first := min(n, length-offset)
	if err := read(r, text[:first], start, size, at+offset); err != nil {
		return nil, err
	}
	if err := read(r, text[first:], start, size, at+sector); err != nil {
		return nil, err
	}
	return bytes.TrimRight(text, "\x00"), nil
}

// Group is a volume group, and the one of its physical volumes that is here.
type Group struct {
	name        string
	top, s      *section // the metadata; what of it is the group's
	start, size int64
	here        string // its name in the text
	first       int64  // where its extents begin, bytes
	extent      int64  // bytes

	label   []byte // the sector with the label
	labelAt int64
	header  int        // of the physical volume, in the label
	meta    [][2]int64 // areas of metadata: where, bytes
}

func (g *Group) place(id string) error {
	sectors := g.s.number("extent_size")
	if sectors <= 0 || sectors > 1<<24 {
		return refuse("extents of %d sectors", sectors)
	}
	g.extent = sectors * sector
	all := g.s.section("physical_volumes")
	for _, name := range all.order {
		pv := all.section(name)
		if plain := bytes.ReplaceAll([]byte(pv.text("id")), []byte("-"), nil); string(plain) == id {
			g.here, g.first = name, pv.number("pe_start")*sector
		}
	}
	if g.here == "" || g.first <= 0 || g.first > g.size {
		return refuse("the volume group %.64q does not name this disk", g.name)
	}
	return nil
}

func (g *Group) volumes() (list []Volume) {
	all := g.s.section("logical_volumes")
	for _, name := range all.order {
		lv := all.section(name)
		if visible := slices.Contains(lv.list("status"), "VISIBLE"); !visible || len(list) == maxVolumes {
			continue
		}
		v := Volume{Group: g.name, Name: name}
		if err := g.segments(lv, &v); err != nil {
			v.Start, v.Size, v.Note = 0, 0, "the logical volume "+g.name+"/"+name+" is not read here: "+err.Error()
		}
		list = append(list, v)
	}
	return list
}

// segments finds where a logical volume lies.
func (g *Group) segments(lv *section, v *Volume) error {
	spans, err := g.spans(lv)
	if err != nil {
		return err
	}
	for i, s := range spans {
		if i == 0 {
			v.Start = s.Start
		} else if s.Start != v.Start+v.Size {
			return errors.New("it lies on the disk in several pieces")
		}
		v.Size += s.Size
	}
	return nil
}

// Span is a part of a disk, bytes.
type Span struct{ Start, Size int64 }

// spans are the pieces of a logical volume in the disk, in its order.
func (g *Group) spans(lv *section) (list []Span, err error) {
	n := lv.number("segment_count")
	if n < 1 || n > 4096 {
		return nil, fmt.Errorf("it has %d segments", n)
	}
	for i := int64(1); i <= n; i++ {
		s := lv.section(fmt.Sprintf("segment%d", i))
		stripes := s.list("stripes")
		if kind := s.text("type"); kind != "striped" || s.number("stripe_count") != 1 || len(stripes) != 2 {
			return nil, fmt.Errorf("it is of the type %.32q, not linear", kind)
		}
		if stripes[0] != g.here {
			return nil, errors.New("a part of it lies on another disk")
		}
		from, err := whole(stripes[1])
		count := s.number("extent_count")
		if limit := g.size / g.extent; err != nil || from < 0 || count <= 0 || from > limit || count > limit {
			return nil, errors.New("it lies outside of the disk")
		}
		at := Span{g.start + g.first + from*g.extent, count * g.extent}
		if at.Start+at.Size > g.start+g.size {
			return nil, errors.New("it ends behind the disk")
		}
		list = append(list, at)
	}
	return list, nil
}
