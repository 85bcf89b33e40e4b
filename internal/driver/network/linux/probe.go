package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/network"
)

// How filters are stateful on a bridge.
const (
	filterBridge    = "bridge-conntrack" // connection tracking of the bridge itself
	filterNetfilter = "br-netfilter"     // bridged packets pass the filters of IP
)

// Probe tries in a namespace of its own what the kernel can do, once. Forbidden
// when the process may not make namespaces, Unsupported when there is no way to
// filter statefully.
func (d *Driver) Probe(context.Context) (network.Capabilities, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.caps != nil {
		return *d.caps, nil
	}
	caps, err := probe()
	if err == nil {
		d.caps = &caps
	}
	return caps, err
}

// filter is the way that Probe chose; callers have probed.
func (d *Driver) filter() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.caps == nil {
		return filterNetfilter
	}
	return d.caps.Filter
}

func probe() (network.Capabilities, error) {
	const op = "network.Probe"
	var caps network.Capabilities
	scratch, err := anonymousNamespace()
	if errors.Is(err, unix.EPERM) {
		return caps, cloud.E(op, cloud.Forbidden, "networks need the right to make network namespaces: run as root (%w)", err)
	}
	if err != nil {
		return caps, cloud.E(op, cloud.Internal, "no network namespace can be made: %w", err)
	}
	defer scratch.Close()
	if err := tryRules(scratch, nftables.TableFamilyBridge, nil); err != nil {
		return caps, cloud.E(op, cloud.Unsupported, "this kernel has no nftables for bridges (CONFIG_NF_TABLES_BRIDGE): %w", err)
	}
	established := stateIs(expr.CtStateBitESTABLISHED)
	caps.Filter = filterBridge
	if err := tryRules(scratch, nftables.TableFamilyBridge, established); err != nil {
		caps.Filter = filterNetfilter
		caps.Notes = append(caps.Notes, "The kernel does not track connections on bridges (CONFIG_NF_CONNTRACK_BRIDGE), so filters go by br_netfilter; that works as well and costs a little more for each packet.")
		if err := tryNetfilter(scratch, established); err != nil {
			return caps, cloud.E(op, cloud.Unsupported, "security groups need nf_conntrack_bridge or br_netfilter, and this kernel has neither: load one of the modules: %w", err)
		}
	}
	caps.VXLAN = tryVXLAN(scratch) == nil
	if !caps.VXLAN {
		caps.Notes = append(caps.Notes, "The kernel has no VXLAN (CONFIG_VXLAN): networks cannot span nodes.")
	}
	if !hasIPv6(scratch) {
		caps.Notes = append(caps.Notes, "The kernel has IPv6 switched off (ipv6.disable=1): IPv6 subnets will not work.")
	}
	return caps, nil
}

// anonymousNamespace makes a namespace without a name, which ends with its handle.
func anonymousNamespace() (netns.NsHandle, error) {
	type result struct {
		ns  netns.NsHandle
		err error
	}
	made := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{netns.None(), err}
			return
		}
		ns, err := netns.Get()
		made <- result{ns, err}
	}()
	r := <-made
	return r.ns, r.err
}

// tryRules tries a chain at the forward hook with a rule.
func tryRules(ns netns.NsHandle, family nftables.TableFamily, rule match) error {
	conn, err := nftConn(ns)
	if err != nil {
		return err
	}
	t := replaceTable(conn, family, "probe")
	chain := t.base("probe", nftables.ChainTypeFilter, nftables.ChainHookForward, 0, nftables.ChainPolicyAccept)
	if rule != nil {
		t.rule(chain, rule, accept())
	}
	return conn.Flush()
}

func tryNetfilter(ns netns.NsHandle, rule match) error {
	if err := tryRules(ns, nftables.TableFamilyINet, rule); err != nil {
		return err
	}
	return setSysctls(ns, []sysctl{{"bridge/bridge-nf-call-iptables", "1"}, {"bridge/bridge-nf-call-ip6tables", "1"}})
}

func tryVXLAN(ns netns.NsHandle) error {
	handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.LinkAdd(&netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "probe"}, VxlanId: 1, Port: 4789})
}

func hasIPv6(ns netns.NsHandle) bool {
	err := inNamespace(ns, func() error {
		_, err := os.Stat("/proc/sys/net/ipv6")
		if err != nil {
			return fmt.Errorf("IPv6: %w", err)
		}
		return nil
	})
	return err == nil
}
