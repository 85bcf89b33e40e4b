package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	configLabel = "config-2"
	latest      = "openstack/latest/"
)

// Where the metadata service is. By IPv6 it is behind each card, at an address
// that needs no lease nor router: a network without IPv4 has it there alone.
var (
	service4 = netip.MustParseAddrPort("169.254.169.254:80")
	service6 = netip.MustParseAddrPort("[fe80::a9fe:a9fe]:80")
)

// services are all places to ask at.
func (g *guest) services() []address {
	list := []address{{AddrPort: service4}}
	cards, _ := filepath.Glob(g.path("sys/class/net/*/ifindex"))
	for _, file := range cards {
		name := filepath.Base(filepath.Dir(file))
		b, err := os.ReadFile(file)
		index, wrong := strconv.Atoi(strings.TrimSpace(string(b)))
		if err == nil && wrong == nil && name != "lo" {
			list = append(list, address{AddrPort: service6, card: index, name: name})
		}
	}
	return list
}

// find looks for the instance's metadata until the deadline: on a config drive,
// which needs no network, and at the metadata service. It tries again each time
// the routes of this guest change (a lease came), and each second (a drive's
// driver was loaded, the service came up).
func (g *guest) find(deadline time.Time) (*instance, error) {
	changes, err := watchRoutes()
	if err != nil {
		return nil, err
	}
	defer changes.close()
	for {
		i, err := g.look()
		if err == nil || time.Now().After(deadline) {
			return i, err
		}
		changes.wait(time.Second)
	}
}

// lookAround tries all sources once.
func (g *guest) lookAround() (*instance, error) {
	if dev := configDrive(); dev != "" {
		i, err := g.fromDrive(dev)
		if err == nil {
			g.say("metadata of %s from config drive %s", i.UUID, dev)
			return i, nil
		}
		g.say("config drive %s: %v", dev, err)
	}
	var failed error
	for _, at := range g.services() {
		i, err := askService(at)
		if err == nil {
			g.say("metadata of %s from http://%s after %.0f s of uptime", i.UUID, at.host(), uptime())
			return i, nil
		}
		failed = cmp.Or(failed, err)
	}
	return nil, failed
}

// configDrive names the block device with an ISO 9660 volume named config-2.
func configDrive() string {
	devices, _ := filepath.Glob("/sys/block/*")
	for _, d := range devices {
		dev := "/dev/" + filepath.Base(d)
		f, err := os.OpenFile(dev, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		head := make([]byte, 72)
		_, err = f.ReadAt(head, 16*2048)
		f.Close()
		if err == nil && isConfigVolume(head) {
			return dev
		}
	}
	return ""
}

// isConfigVolume reads the first 72 bytes of a volume descriptor (ECMA-119, 8.4).
func isConfigVolume(head []byte) bool {
	return len(head) >= 72 && string(head[1:6]) == "CD001" && strings.EqualFold(strings.TrimRight(string(head[40:72]), " \x00"), configLabel)
}

func (g *guest) fromDrive(dev string) (*instance, error) {
	point := g.path("run/hearth-guest.drive")
	if err := os.MkdirAll(point, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount(dev, point, "iso9660", syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	defer func() { _ = syscall.Unmount(point, 0) }()
	return readDrive(point)
}

// readDrive reads a config drive that is mounted at dir.
func readDrive(dir string) (*instance, error) {
	b, err := os.ReadFile(filepath.Join(dir, latest, "meta_data.json"))
	if err != nil {
		return nil, err
	}
	i, err := parseInstance(b)
	if err != nil {
		return nil, err
	}
	vendor, _ := os.ReadFile(filepath.Join(dir, latest, "vendor_data.json")) // not every cloud has it
	i.Mounts = parseMounts(vendor)
	i.UserData, err = os.ReadFile(filepath.Join(dir, latest, "user_data"))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return i, err
}

// askService asks the metadata service at an address for all it has.
func askService(at address) (*instance, error) {
	status, body, err := get(at, "/"+latest+"meta_data.json")
	if err != nil {
		return nil, err
	}
	if status != 200 {
		return nil, fmt.Errorf("meta_data.json: status %d", status)
	}
	i, err := parseInstance(body)
	if err != nil {
		return nil, err
	}
	status, body, err = get(at, "/"+latest+"user_data")
	if err != nil {
		return nil, err
	}
	switch status {
	case 200:
		i.UserData = body
	case 404: // there is none
	default:
		return nil, fmt.Errorf("user_data: status %d", status)
	}
	if status, body, err := get(at, "/"+latest+"vendor_data.json"); err == nil && status == 200 { // not every cloud has it
		i.Mounts = parseMounts(body)
	}
	return i, nil
}

// uptime is in seconds.
func uptime() float64 {
	var t syscall.Sysinfo_t
	if syscall.Sysinfo(&t) != nil {
		return 0
	}
	return float64(t.Uptime)
}
