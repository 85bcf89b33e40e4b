package linux

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"hearth/internal/cloud"
)

// tableScopes keeps address scopes apart in a router.
const tableScopes = "hearth_scopes"

// Bits of ct status (linux/netfilter/nf_conntrack_common.h).
const statusDNAT = 1 << 5

// scoped is an interface of a router with what its addresses are unique in.
type scoped struct {
	name      string
	four, six string
	gateway   bool
}

func scopedPorts(spec cloud.RouterSpec) []scoped {
	var out []scoped
	for _, p := range spec.Interfaces {
		out = append(out, scoped{name: linkName(prefixInner, p.PortID), four: p.Scope4, six: p.Scope6})
	}
	if p := spec.Gateway; p != nil {
		out = append(out, scoped{name: linkName(prefixGateway, p.PortID), four: p.Scope4, six: p.Scope6, gateway: true})
	}
	return out
}

// unnatted are the interfaces whose addresses mean the same outside: their
// traffic leaves by the gateway as it is.
func unnatted(spec cloud.RouterSpec) []string {
	var out []string
	for _, p := range spec.Interfaces {
		if p.Scope4 != "" && p.Scope4 == spec.Gateway.Scope4 {
			out = append(out, linkName(prefixInner, p.PortID))
		}
	}
	return out
}

// addScopes writes the rules that drop what goes from one address scope to
// another, unless NAT stands between: a floating IP or a forwarded port on the way
// in, source NAT on the way out.
func addScopes(t chainSet, spec cloud.RouterSpec) {
	chain := t.base("scopes", nftables.ChainTypeFilter, nftables.ChainHookForward, 0, nftables.ChainPolicyAccept)
	ports := scopedPorts(spec)
	answers := false
	for _, from := range ports {
		for _, to := range ports {
			if from.name == to.name || from.four == to.four && from.six == to.six {
				continue
			}
			if !answers { // of what was let through, and what NAT sends in
				t.rule(chain, stateIs(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept())
				t.rule(chain, translated(statusDNAT), accept())
				answers = true
			}
			between := join(interfaceIs(expr.MetaKeyIIFNAME, from.name), interfaceIs(expr.MetaKeyOIFNAME, to.name))
			if from.four != to.four && !(to.gateway && spec.SNAT) {
				t.rule(chain, between, protocolIs(etherIPv4), drop())
			}
			if from.six != to.six {
				t.rule(chain, between, protocolIs(etherIPv6), drop())
			}
		}
	}
}

// translated matches connections whose status has a bit.
func translated(bit uint32) match {
	return match{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(bit), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}
