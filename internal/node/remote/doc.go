// Package remote is a node on another machine: the contract of node.Node over
// mutual TLS.
//
// The node dials out, so it needs no open port: it opens a TLS connection to
// the head and serves HTTP/2 on it; the head is the HTTP client on the
// connection that it accepted. The calls are Connect's (connectrpc.com/connect),
// with the Go types of the contract as messages, in JSON. Images travel on a
// second connection, where the node is the HTTP client, so that gigabytes do not
// stand in the way of calls.
//
// The head knows a node by the name in its certificate, and takes it only in
// the role of a node; a node takes only what has the role of a head.
package remote

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node/remote/pki"
)

// What a connection is for, as TLS's application protocol (RFC 7301).
const (
	protocolNode   = "hearth-node/1"
	protocolImages = "hearth-images/1"
)

// Bounds of messages, in bytes: of specs, and of what a node tells.
const (
	maxRequest  = 8 << 20
	maxResponse = 32 << 20
)

// A peer that is silent for idle is asked for a sign of life, and dropped when
// it gives none within patience.
const (
	idle     = 15 * time.Second
	patience = 10 * time.Second
)

// Identity is who an end of a connection is, and whom it trusts.
type Identity struct {
	Certificate tls.Certificate
	CA          *x509.CertPool
}

// config is the TLS configuration of an end that talks to peers of a role.
func (id Identity) config(peer pki.Role, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{id.Certificate}, NextProtos: protocols,
		RootCAs: id.CA, ClientCAs: id.CA, ClientAuth: tls.RequireAndVerifyClientCert,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !pki.HasRole(s.PeerCertificates[0], peer) {
				return cloud.E("remote.Handshake", cloud.Forbidden, "the peer's certificate is not for the role %s", peer)
			}
			return nil
		},
	}
}
