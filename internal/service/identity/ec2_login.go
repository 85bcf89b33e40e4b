package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// LoginByKeyPair makes a token for the user and the project of a key pair whose
// secret signed a request. NotFound for an access key that is nobody's;
// Unauthenticated (with a Denial) for a wrong or old signature, and as Login.
func (s *Service) LoginByKeyPair(ctx context.Context, k KeyPairLogin) (string, cloud.Caller, error) {
	c, pair, err := s.signer(ctx, k.Access)
	if err != nil {
		return "", cloud.Caller{}, err
	}
	in := Login{KeyPair: &k, Scope: Scope{Project: &ProjectRef{ID: c.ProjectID}}}
	if pair.TrustID != nil {
		in.Scope = Scope{Trust: *pair.TrustID}
	}
	return s.Login(ctx, in)
}

// signer is the key pair with an access key; NotFound.
func (s *Service) signer(ctx context.Context, access string) (c cloud.Credential, pair KeyPair, err error) {
	if err = s.view(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.Credentials.Get(accessID(access))
		return err
	}); err == nil {
		pair, err = keyPair(c)
	}
	if cloud.Is(err, cloud.NotFound) || err == nil && (c.Type != EC2 || pair.Secret == "") {
		err = cloud.E("identity.LoginByKeyPair", cloud.NotFound, "Could not find credential: %s.", accessID(access))
	}
	return c, pair, err
}

// proveKeyPair checks what a key pair signed.
func (s *Service) proveKeyPair(ctx context.Context, in Login, c *claims) (string, error) {
	cred, pair, err := s.signer(ctx, in.KeyPair.Access)
	if err != nil {
		return "", err
	}
	if err := in.KeyPair.verify(pair.Secret, s.clock.Now()); err != nil {
		return "", err
	}
	c.Methods = append(c.Methods, "ec2credential")
	return cred.UserID, nil
}
