// Package nodetest is the suite that every node.Node passes: local, remote and
// fake.
package nodetest

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
)

// Images are bytes in memory, by digest.
type Images struct {
	mu     sync.Mutex
	bytes  map[string][]byte
	opened int
}

// NewImages makes an empty store.
func NewImages() *Images { return &Images{bytes: map[string][]byte{}} }

// Add keeps bytes and describes them as a raw image.
func (i *Images) Add(data []byte) cloud.ImageRef {
	sum := sha512.Sum512(data)
	digest := "sha512:" + hex.EncodeToString(sum[:])
	i.mu.Lock()
	defer i.mu.Unlock()
	i.bytes[digest] = data
	return cloud.ImageRef{ID: cloud.NewID(), Digest: digest, Format: "raw", Size: int64(len(data)), VirtualSize: int64(len(data))}
}

// Opened is how often bytes were asked for.
func (i *Images) Opened() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.opened
}

// Open implements node.Images.
func (i *Images) Open(_ context.Context, digest string) (io.ReadCloser, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.opened++
	if data, ok := i.bytes[digest]; ok {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return nil, cloud.E("images.Open", cloud.NotFound, "the image %s is no longer in the image store", digest)
}

// Guests is what a test does in the place of guests.
type Guests interface {
	PowerOff(id string) bool
	Crash(id string) bool
}

// Bench is a node for the suite, with what feeds it.
type Bench struct {
	Node   node.Node
	Images *Images
	Guests Guests
}

// Run puts nodes through the suite; open gives a fresh one.
func Run(t *testing.T, open func(t *testing.T) Bench) {
	for name, test := range map[string]func(*testing.T, Bench){
		"a host tells what it has":               status,
		"an instance lives":                      life,
		"an image is fetched once":               cached,
		"an image comes and goes":                precached,
		"a guest's own doing is told":            ownDoing,
		"a failure keeps its sentence":           failure,
		"errors keep their kind":                 kinds,
		"a watch begins with the present":        present,
		"a watch ends with its context":          watchEnds,
		"networks are served by generation":      networks,
		"large specs pass":                       large,
		"many instances at once":                 many,
		"the parts of a server are found":        explain,
		"all is gone when instances are removed": nothingLeft,
		"volumes are made, copied and read":      volumes,
		"volumes and NICs come and go":           comeAndGo,
		"a guest boots from a volume":            bootVolume,
		"a volume is given to other nodes":       given,
		"a guest has a volume of another node":   remoteVolume,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// NetworkSpec is a network with a port for each instance.
func NetworkSpec(generation int64, specs ...cloud.InstanceSpec) cloud.NetworkSpec {
	n := cloud.NetworkSpec{ID: networkID, Name: "net", Type: cloud.NetworkLocal, MTU: 1450, Generation: generation,
		Subnets: []cloud.SubnetSpec{{ID: cloud.NewID(), CIDR: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), DHCP: true}}}
	for i, s := range specs {
		for _, p := range s.Ports {
			n.Ports = append(n.Ports, cloud.PortSpec{ID: p.ID, InstanceID: s.ID, MAC: p.MAC, AdminUp: true, Security: true,
				Addresses: []cloud.FixedIP{{SubnetID: n.Subnets[0].ID, IP: netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)})}}})
		}
	}
	return n
}

const networkID = "11111111-2222-4333-8444-555555555555"

// Spec is an instance with one port.
func (b Bench) Spec() cloud.InstanceSpec {
	id := cloud.NewID()
	port := cloud.NewID()
	return cloud.InstanceSpec{ID: id, Name: "vm", VCPUs: 1, MemoryMB: 64, RootGB: 1, Image: b.Images.Add([]byte(strings.Repeat("ember", 1000))), ConfigDrive: true,
		Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOn},
		Ports:  []cloud.InstancePort{{ID: port, NetworkID: networkID, MAC: "fa:16:3e:" + port[0:2] + ":" + port[2:4] + ":" + port[4:6], MTU: 1450}}}
}

// start brings an instance up with its network.
func (b Bench) start(t *testing.T) cloud.InstanceSpec {
	t.Helper()
	spec := b.Spec()
	must(t, b.Node.ApplyNetwork(t.Context(), NetworkSpec(1, spec)))
	must(t, b.Node.ApplyInstance(t.Context(), spec))
	b.await(t, spec.ID, cloud.InstanceRunning, 1)
	return spec
}

// await waits until an instance is reported in a state at a generation.
func (b Bench) await(t *testing.T, id string, state cloud.InstanceState, generation int64) cloud.InstanceStatus {
	t.Helper()
	return b.watch(t, fmt.Sprintf("%s at generation %d", state, generation), func(st cloud.InstanceStatus) bool {
		return st.ID == id && st.State == state && st.Generation == generation
	})
}

func (b Bench) watch(t *testing.T, what string, fits func(cloud.InstanceStatus) bool) cloud.InstanceStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var found cloud.InstanceStatus
	err := b.Node.Watch(ctx, func(st cloud.InstanceStatus) {
		if found.ID == "" && fits(st) {
			found = st
			cancel()
		}
	})
	if found.ID == "" {
		all, _ := b.Node.Instances(t.Context())
		t.Fatalf("no status came that is %s: %v; the last: %+v", what, err, all)
	}
	return found
}

// gone waits until an instance is not listed.
func (b Bench) gone(t *testing.T, id string) {
	t.Helper()
	listed := func() bool {
		all, err := b.Node.Instances(t.Context())
		must(t, err)
		for _, st := range all {
			if st.ID == id {
				return true
			}
		}
		return false
	}
	deadline := time.Now().Add(10 * time.Second)
	for listed() {
		if time.Now().After(deadline) {
			t.Fatalf("instance %s does not go", id)
		}
		time.Sleep(time.Millisecond) // what is polled is the thing under test: the list
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
