package lvm

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
)

// Place is where a logical volume lies and is to lie.
type Place struct {
	Name string
	From []Span // in the disk as it is, in the order of the volume
	To   Span   // in the physical volume as it is to be: bytes from its begin
}

// Extent is the unit of sizes, in bytes.
func (g *Group) Extent() int64 { return g.extent }

// Data is where the extents begin in the physical volume, in bytes: what is before is
// its label and its metadata.
func (g *Group) Data() int64 { return g.first }

// Relay gives logical volumes new sizes, in bytes by their names; others keep theirs.
// All are laid one behind the other in the order in which they begin on the disk, each in
// one piece, so the physical volume needs no more than size bytes. Nothing is written.
// Refused for groups that have more than linear volumes on this disk alone.
func (g *Group) Relay(sizes map[string]int64) (list []Place, size int64, err error) {
	if len(g.meta) != 1 {
		return nil, 0, refuse("the physical volume has %d areas of metadata", len(g.meta))
	}
	if n := len(g.s.section("physical_volumes").order); n != 1 {
		return nil, 0, refuse("the volume group %.64q lies on %d disks", g.name, n)
	}
	if at, room := g.meta[0][0], g.meta[0][1]; at < sector || room > g.first || at > g.first-room {
		return nil, 0, refuse("the metadata does not lie before the extents")
	}
	all := g.s.section("logical_volumes")
	var taken []Span
	for _, name := range all.order {
		spans, err := g.spans(all.section(name))
		if err != nil {
			return nil, 0, refuse("the logical volume %.64q: %v", name, err)
		}
		p := Place{Name: name, From: spans}
		for _, s := range spans {
			p.To.Size += s.Size
		}
		taken = append(taken, spans...)
		if want, ok := sizes[name]; ok {
			p.To.Size = (want + g.extent - 1) / g.extent * g.extent
		}
		list = append(list, p)
	}
	slices.SortFunc(taken, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	for i := 1; i < len(taken); i++ {
		if taken[i].Start < taken[i-1].Start+taken[i-1].Size {
			return nil, 0, refuse("two logical volumes lie on each other")
		}
	}
	slices.SortStableFunc(list, func(a, b Place) int { return cmp.Compare(a.From[0].Start, b.From[0].Start) })
	size = g.first
	for i := range list {
		list[i].To.Start = size
		size += list[i].To.Size
	}
	return list, size, nil
}

// Write writes the label and the metadata of the physical volume as it is to be, of size
// bytes, which begins at the first byte of w. What lies before the extents was copied
// there already.
func (g *Group) Write(w io.WriterAt, list []Place, size int64) error {
	text := g.text(list, size)
	at, room := g.meta[0][0], g.meta[0][1]
	if int64(len(text)) > room-sector {
		return refuse("the metadata of %d bytes has no room in %d", len(text), room-sector)
	}
	le := binary.LittleEndian
	label := slices.Clone(g.label)
	le.PutUint64(label[g.header+32:], uint64(size))
	le.PutUint32(label[16:], sum(label[20:]))
	head := make([]byte, sector)
	copy(head[4:], magic)
	le.PutUint32(head[20:], 1) // the version
	le.PutUint64(head[24:], uint64(at))
	le.PutUint64(head[32:], uint64(room))
	le.PutUint64(head[40:], sector) // where in the area the text begins
	le.PutUint64(head[48:], uint64(len(text)))
	le.PutUint32(head[56:], sum(text))
	le.PutUint32(head, sum(head[4:]))
	area := slices.Concat(head, text)
	area = append(area, make([]byte, room-int64(len(area)))...) // texts of before are gone
	if _, err := w.WriteAt(area, at); err != nil {
		return err
	}
	_, err := w.WriteAt(label, g.labelAt)
	return err
}

// sum is the check sum of LVM2: a CRC-32 that begins with a number of its own and is not
// inverted. Source: lib/misc/crc.c.
func sum(b []byte) uint32 {
	const first = 0xf597a6cf
	return ^crc32.Update(^uint32(first), crc32.IEEETable, b)
}

// text is the metadata as it is to be, with the byte 0 that ends it.
func (g *Group) text(list []Place, size int64) []byte {
	g.s.setNumber("seqno", g.s.number("seqno")+1)
	pv := g.s.section("physical_volumes").section(g.here)
	pv.setNumber("dev_size", size/sector)
	pv.setNumber("pe_count", (size-g.first)/g.extent)
	all := g.s.section("logical_volumes")
	for _, p := range list {
		lv := all.section(p.Name)
		for i := lv.number("segment_count"); i > 1; i-- {
			name := fmt.Sprintf("segment%d", i)
			delete(lv.values, name)
			lv.order = slices.DeleteFunc(lv.order, func(n string) bool { return n == name })
		}
		lv.setNumber("segment_count", 1)
		s := lv.section("segment1")
		s.setNumber("start_extent", 0)
		s.setNumber("extent_count", p.To.Size/g.extent)
		s.set("stripes", []word{{g.here, true}, {text: fmt.Sprint((p.To.Start - g.first) / g.extent)}})
	}
	var b strings.Builder
	g.top.write(&b)
	return append([]byte(b.String()), 0)
}
