package ova

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
	"time"

	"hearth/internal/disk"
)

// maxVMDK is the largest disk of the package, as tar's plain header has it: what
// other hypervisors read is no more.
const maxVMDK = 8<<30 - 1

// Write writes the package of a machine to w: the descriptor, a manifest, and the
// disk, a streamOptimized vmdk in the file path of capacity bytes. at is the time of
// its files.
func Write(ctx context.Context, w io.Writer, m Machine, path string, capacity int64, at time.Time) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, &until{ctx, f}); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	text, err := describe(m, st.Size(), capacity)
	if err != nil {
		return err
	}
	own := sha256.Sum256(text)
	manifest := fmt.Sprintf("SHA256(%s.ovf)= %s\nSHA256(%s-disk1.vmdk)= %s\n", m.Name, hex.EncodeToString(own[:]), m.Name, hex.EncodeToString(h.Sum(nil)))
	t := tar.NewWriter(w)
	for _, part := range []struct {
		name string
		size int64
		r    io.Reader
	}{
		{m.Name + ".ovf", int64(len(text)), strings.NewReader(string(text))},
		{m.Name + ".mf", int64(len(manifest)), strings.NewReader(manifest)},
		{m.Name + "-disk1.vmdk", st.Size(), f},
	} {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: part.name, Size: part.size, Mode: 0o644, ModTime: at.Truncate(time.Second), Format: tar.FormatUSTAR}
		if part.size > maxVMDK || strings.ContainsFunc(part.name, func(r rune) bool { return r > '~' }) { // ustar has ASCII only
			head.Format = tar.FormatGNU
		}
		if err := t.WriteHeader(head); err != nil {
			return err
		}
		if _, err := io.Copy(t, &until{ctx, part.r}); err != nil {
			return err
		}
	}
	return t.Close()
}

// until is a reader that ends with a context.
type until struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// Check refuses what cannot be put into a package: Unsupported.
func (m Machine) Check() error {
	switch {
	case flat(m.Name) != nil || len(m.Name) > 80:
		return &disk.Error{Kind: disk.Unsupported, Op: "write ova", Reason: fmt.Sprintf("%.60q cannot be the name of a machine, whose files are named after it", m.Name)}
	case m.CPUs < 1 || m.CPUs > 1024 || m.MemoryMB < 1 || m.MemoryMB > 64<<20 || len(m.NICs) > 10:
		return &disk.Error{Kind: disk.Unsupported, Op: "write ova", Reason: fmt.Sprintf("a machine of %d processors, %d MiB and %d network cards cannot be described", m.CPUs, m.MemoryMB, len(m.NICs))}
	}
	return nil
}

func describe(m Machine, size, capacity int64) ([]byte, error) {
	quote := func(s string) (string, error) {
		var b strings.Builder
		err := xml.EscapeText(&b, []byte(s))
		return b.String(), err
	}
	t, err := template.New("ovf").Funcs(template.FuncMap{"q": quote, "add": func(a, b int) int { return a + b }}).Parse(descriptor)
	if err != nil {
		return nil, err
	}
	networks := []string{}
	for _, n := range m.NICs {
		known := false
		for _, k := range networks {
			known = known || k == n.Network
		}
		if !known {
			networks = append(networks, n.Network)
		}
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{"M": m, "Size": size, "Capacity": capacity, "Networks": networks})
	return []byte(b.String()), err
}

// descriptor follows DSP0243 1.1, which all take. An Item's elements are in the
// order of the alphabet, as the schema wants them (DSP8027). The first controller is
// AHCI: every guest has a driver for it.
const descriptor = `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="{{q .M.Name}}-disk1.vmdk" ovf:id="file1" ovf:size="{{.Size}}"/>
  </References>
  <DiskSection>
    <Info>The disks of the machine</Info>
    <Disk ovf:capacity="{{.Capacity}}" ovf:capacityAllocationUnits="byte" ovf:diskId="disk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
{{- if .Networks}}
  <NetworkSection>
    <Info>The networks of the machine</Info>
{{- range .Networks}}
    <Network ovf:name="{{q .}}">
      <Description>{{q .}}</Description>
    </Network>
{{- end}}
  </NetworkSection>
{{- end}}
  <VirtualSystem ovf:id="{{q .M.Name}}">
    <Info>A virtual machine</Info>
    <Name>{{q .M.Name}}</Name>
    <OperatingSystemSection ovf:id="101">
      <Info>The guest operating system</Info>
      <Description>{{if .M.System}}{{q .M.System}}{{else}}Linux{{end}}</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>What the machine needs</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{{q .M.Name}}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-10</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:Description>Number of virtual CPUs</rasd:Description>
        <rasd:ElementName>{{.M.CPUs}} virtual CPU(s)</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>{{.M.CPUs}}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:Description>Memory Size</rasd:Description>
        <rasd:ElementName>{{.M.MemoryMB}} MB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>{{.M.MemoryMB}}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Description>SATA Controller</rasd:Description>
        <rasd:ElementName>SATA Controller 0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Hard Disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
{{- range $i, $n := .M.NICs}}
      <Item>
        <rasd:AddressOnParent>{{add $i 7}}</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>{{q $n.Network}}</rasd:Connection>
        <rasd:ElementName>Network adapter {{add $i 1}}</rasd:ElementName>
        <rasd:InstanceID>{{add $i 5}}</rasd:InstanceID>
        <rasd:ResourceSubType>{{q $n.Model}}</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
{{- end}}
{{- if .M.Firmware}}
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="{{q .M.Firmware}}"/>
{{- end}}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`
