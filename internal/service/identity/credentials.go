package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func credentialRows(tx *store.Tx) *store.Table[cloud.Credential] { return tx.Credentials }

// EC2 is the type of credentials that are key pairs of Amazon's kind.
const EC2 = "ec2"

// KeyPair is the blob of a credential of type ec2.
type KeyPair struct {
	Access  string  `json:"access"`
	Secret  string  `json:"secret"`
	TrustID *string `json:"trust_id"`
}

// Credential gives a credential; NotFound.
func (s *Service) Credential(ctx context.Context, id string) (cloud.Credential, error) {
	return fetch(ctx, s, credentialRows, id)
}

// Credentials lists credentials, of a user and a type if they are not "".
func (s *Service) Credentials(ctx context.Context, userID, typ string) ([]cloud.Credential, error) {
	return list(ctx, s, credentialRows, store.Eq("user_id", userID), store.Eq("type", typ))
}

// CreateCredential makes a credential. One of type ec2 has an id that follows
// from its access key, so that it can be found by that. Invalid for an ec2
// credential without keys or project, Conflict for an access key that is taken.
func (s *Service) CreateCredential(ctx context.Context, c cloud.Credential) (cloud.Credential, error) {
	c.ID = cloud.NewHexID()
	if c.Type == EC2 {
		pair, err := keyPair(c)
		if err != nil {
			return c, err
		}
		c.ID = accessID(pair.Access)
	}
	return c, s.update(ctx, func(tx *store.Tx) error {
		if err := refer(tx.Users, "user", c.UserID, cloud.NotFound); err != nil {
			return err
		}
		if err := referProject(tx, c.ProjectID); err != nil {
			return err
		}
		err := tx.Credentials.Insert(c)
		if cloud.Is(err, cloud.Conflict) {
			return cloud.E("identity.CreateCredential", cloud.Conflict, "Conflict occurred attempting to store credential - Duplicate entry found with ID %s.", c.ID)
		}
		return err
	})
}

// accessID is the id of the credential with an access key.
func accessID(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}

// keyPair reads the blob of an ec2 credential.
func keyPair(c cloud.Credential) (pair KeyPair, err error) {
	const op = "identity.keyPair"
	if err := json.Unmarshal([]byte(c.Blob), &pair); err != nil {
		return pair, cloud.E(op, cloud.Invalid, "Invalid blob in credential: it is not a JSON object with access and secret")
	}
	switch {
	case pair.Access == "":
		return pair, cloud.E(op, cloud.Invalid, "Invalid blob in credential: 'access' is missing")
	case c.ProjectID == "":
		return pair, cloud.E(op, cloud.Invalid, "Expecting to find project_id in credential.")
	}
	return pair, nil
}

// CredentialPatch changes what is not nil. Of Extra a nil value takes the
// attribute away.
type CredentialPatch struct {
	UserID, ProjectID, Type, Blob *string
	Extra                         map[string]any
}

// UpdateCredential changes a credential; its id stays. NotFound, Invalid.
func (s *Service) UpdateCredential(ctx context.Context, id string, p CredentialPatch) (cloud.Credential, error) {
	return amend(ctx, s, credentialRows, id, func(tx *store.Tx, c *cloud.Credential) error {
		set(&c.UserID, p.UserID)
		set(&c.ProjectID, p.ProjectID)
		set(&c.Type, p.Type)
		set(&c.Blob, p.Blob)
		c.Extra = merge(c.Extra, p.Extra)
		if c.Type == EC2 {
			if _, err := keyPair(*c); err != nil {
				return err
			}
		}
		return referProject(tx, c.ProjectID)
	})
}

// referProject wants a project, or a domain, which keystone counts as one.
func referProject(tx *store.Tx, id string) error {
	if _, err := tx.Domains.Get(id); !cloud.Is(err, cloud.NotFound) {
		return err
	}
	return refer(tx.Projects, "project", id, cloud.NotFound)
}

// DeleteCredential removes a credential; NotFound.
func (s *Service) DeleteCredential(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error { return tx.Credentials.Delete(id) })
}

// CreateKeyPair makes a key pair of a user's for a project, or for a domain as a
// project; NotFound for a user or project that is not there. Whether the user has
// a role there is asked when the pair is used, as keystone does.
func (s *Service) CreateKeyPair(ctx context.Context, userID, projectID, trustID string) (cloud.Credential, error) {
	pair := KeyPair{Access: cloud.NewHexID(), Secret: cloud.NewHexID()}
	if trustID != "" {
		pair.TrustID = &trustID
	}
	err := s.view(ctx, func(tx *store.Tx) error {
		if err := refer(tx.Users, "user", userID, cloud.NotFound); err != nil {
			return err
		}
		return referProject(tx, projectID)
	})
	if err != nil {
		return cloud.Credential{}, err
	}
	blob, err := json.Marshal(pair)
	if err != nil {
		return cloud.Credential{}, err
	}
	return s.CreateCredential(ctx, cloud.Credential{UserID: userID, ProjectID: projectID, Type: EC2, Blob: string(blob)})
}

// KeyPairOf gives a user's key pair by its access key; NotFound.
func (s *Service) KeyPairOf(ctx context.Context, userID, access string) (cloud.Credential, error) {
	c, err := s.Credential(ctx, accessID(access))
	if err == nil && (c.UserID != userID || c.Type != EC2) || cloud.Is(err, cloud.NotFound) {
		return cloud.Credential{}, cloud.E("identity.KeyPairOf", cloud.NotFound, "Could not find credential: %s.", access)
	}
	return c, err
}

// ReadKeyPair reads a credential of type ec2; Invalid for one that holds none.
func ReadKeyPair(c cloud.Credential) (KeyPair, error) { return keyPair(c) }
