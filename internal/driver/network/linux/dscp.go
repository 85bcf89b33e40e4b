package linux

import "github.com/google/nftables/expr"

// checksumInet is nftables' NFT_PAYLOAD_CSUM_INET: the checksum of the header at hand.
const checksumInet = 1

// markIPv4 writes a code point into the upper six bits of the second byte of an IPv4
// header (RFC 2474), and mends its checksum, which is at byte 10.
func markIPv4(mark int) match {
	return rewrite(0xff03, uint16(mark)<<2, &expr.Payload{CsumType: checksumInet, CsumOffset: 10})
}

// markIPv6 writes it into the bits behind the version of an IPv6 header (RFC 8200),
// which has no checksum.
func markIPv6(mark int) match { return rewrite(0xf03f, uint16(mark)<<6, &expr.Payload{}) }

// rewrite keeps the bits of keep of a header's first two bytes and sets others.
func rewrite(keep, set uint16, write *expr.Payload) match {
	write.OperationType, write.SourceRegister, write.Base, write.Len = expr.PayloadWrite, 1, networkHd, 2
	return match{
		&expr.Payload{DestRegister: 1, Base: networkHd, Len: 2},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: be16(keep), Xor: be16(set)},
		write,
	}
}
