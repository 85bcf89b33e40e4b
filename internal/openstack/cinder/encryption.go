package cinder

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) encryptionRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/types/{id}/encryption", wire.Admin, "volume_extension:volume_type_encryption:get", a.showEncryption),
		route("POST", "/types/{id}/encryption", wire.Admin, "volume_extension:volume_type_encryption:create", a.createEncryption),
		route("GET", "/types/{id}/encryption/{key}", wire.Admin, "volume_extension:volume_type_encryption:get", a.showEncryptionItem),
		route("PUT", "/types/{id}/encryption/{key}", wire.Admin, "volume_extension:volume_type_encryption:update", a.updateEncryption),
		route("DELETE", "/types/{id}/encryption/{key}", wire.Admin, "volume_extension:volume_type_encryption:delete", a.deleteEncryption),
		route("GET", "/volumes/{id}/encryption", wire.Reader, "volume_extension:volume_encryption_metadata", a.volumeEncryption),
		route("GET", "/volumes/{id}/encryption/{key}", wire.Reader, "volume_extension:volume_encryption_metadata", a.volumeEncryptionItem),
	}
}

// encryptionIn is the body of how a type is encrypted.
type encryptionIn struct {
	Provider *string            `json:"provider"`
	Control  *string            `json:"control_location"`
	Cipher   wire.Opt[string]   `json:"cipher"`
	KeySize  wire.Opt[wire.Int] `json:"key_size"`
}

func readEncryption(r *wire.Request) (in encryptionIn, err error) {
	if err := r.DecodeObject("encryption", &in); err != nil {
		return in, err
	}
	if in.Provider != nil {
		err = wire.Length("provider", *in.Provider, 0, 255)
	}
	if in.Control != nil {
		err = wire.First(err, wire.OneOf("control_location", *in.Control, "front-end", "back-end"))
	}
	if n := in.KeySize.Or(0); n < 0 || n > 1<<31-1 {
		err = wire.First(err, cloud.E("cinder.encryption", cloud.Invalid, "Invalid input for field/attribute key_size. Value: %d. It must be a number of bits that is not negative", n))
	}
	return in, wire.First(err, wire.Length("cipher", in.Cipher.Or(""), 0, 255))
}

// lay puts what was said over what there is.
func (in encryptionIn) lay(e *cloud.VolumeEncryption) {
	if in.Provider != nil {
		e.Provider = *in.Provider
	}
	if in.Control != nil {
		e.ControlLocation = *in.Control
	}
	if in.Cipher.Set {
		e.Cipher = in.Cipher.Value
	}
	if in.KeySize.Set {
		e.KeySize = int(in.KeySize.Value)
	}
}

// encryptionView is how a type is encrypted, without who and when.
func encryptionView(e *cloud.VolumeEncryption) wire.M {
	m := wire.M{"provider": e.Provider, "control_location": e.ControlLocation, "cipher": orNull(e.Cipher), "key_size": nil}
	if e.KeySize > 0 {
		m["key_size"] = e.KeySize
	}
	return m
}

// wholeEncryption is all that is told of it; empty for none.
func wholeEncryption(t cloud.VolumeType) wire.M {
	if t.Encryption == nil {
		return wire.M{}
	}
	m := encryptionView(t.Encryption)
	m["volume_type_id"], m["encryption_id"], m["created_at"], m["updated_at"] = t.ID, t.Encryption.ID, stamp(t.Encryption.CreatedAt), stamp(t.Encryption.UpdatedAt)
	m["deleted"], m["deleted_at"] = false, nil
	return m
}

func (a *api) showEncryption(r *wire.Request) (*wire.Response, error) {
	t, err := a.svc.Type(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wholeEncryption(t)), nil
}

func noEncryption(id string) error {
	return cloud.E("cinder.encryption", cloud.NotFound, "Volume type encryption for type %s does not exist.", id)
}

func (a *api) showEncryptionItem(r *wire.Request) (*wire.Response, error) {
	t, err := a.svc.Type(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	key := r.PathValue("key")
	v, ok := wholeEncryption(t)[key]
	if !ok {
		return nil, noEncryption(t.ID)
	}
	return wire.JSON(wire.M{key: v}), nil
}

func (a *api) createEncryption(r *wire.Request) (*wire.Response, error) {
	in, err := readEncryption(r)
	switch {
	case err != nil:
		return nil, err
	case in.Provider == nil:
		return nil, cloud.E("cinder.encryption", cloud.Invalid, "'provider' is a required property")
	case in.Control == nil:
		return nil, cloud.E("cinder.encryption", cloud.Invalid, "'control_location' is a required property")
	}
	id := r.PathValue("id")
	e, err := a.svc.Encrypt(r.Context(), r.Caller, id, "create", func(e *cloud.VolumeEncryption) (*cloud.VolumeEncryption, error) {
		if e != nil {
			return nil, cloud.E("cinder.encryption", cloud.Invalid, "Volume type encryption for type %s already exists.", id)
		}
		e = &cloud.VolumeEncryption{}
		in.lay(e)
		return e, nil
	})
	if err != nil {
		return nil, err
	}
	m := encryptionView(e)
	m["volume_type_id"], m["encryption_id"] = id, e.ID
	return wire.JSON(wire.M{"encryption": m}), nil
}

func (a *api) updateEncryption(r *wire.Request) (*wire.Response, error) {
	in, err := readEncryption(r)
	if err != nil {
		return nil, err
	}
	e, err := a.changeEncryption(r, "update", func(e *cloud.VolumeEncryption) *cloud.VolumeEncryption { in.lay(e); return e })
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"encryption": encryptionView(e)}), nil
}

// changeEncryption changes the encryption of the type in the path. There is but
// one, so what else the path names is left out of account, as cinder does.
func (a *api) changeEncryption(r *wire.Request, verb string, fn func(e *cloud.VolumeEncryption) *cloud.VolumeEncryption) (*cloud.VolumeEncryption, error) {
	id := r.PathValue("id")
	return a.svc.Encrypt(r.Context(), r.Caller, id, verb, func(e *cloud.VolumeEncryption) (*cloud.VolumeEncryption, error) {
		if e == nil {
			return nil, noEncryption(id)
		}
		return fn(e), nil
	})
}

func (a *api) deleteEncryption(r *wire.Request) (*wire.Response, error) {
	_, err := a.changeEncryption(r, "delete", func(*cloud.VolumeEncryption) *cloud.VolumeEncryption { return nil })
	return wire.Accepted(nil), err
}

// volumeEncryption tells how a volume is encrypted, and what its key is called; the
// key itself is told to nobody.
func (a *api) volumeEncryption(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Get(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(volumeKeyView(d.Key)), nil
}

func volumeKeyView(k *cloud.VolumeKey) wire.M {
	if k == nil {
		return wire.M{"encryption_key_id": nil}
	}
	return wire.M{"encryption_key_id": k.ID, "provider": k.Provider, "cipher": k.Cipher, "key_size": k.Bits, "control_location": k.Control}
}

func (a *api) volumeEncryptionItem(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Get(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	key := r.PathValue("key")
	v, ok := volumeKeyView(d.Key)[key]
	if !ok {
		return nil, cloud.E("cinder.encryption", cloud.NotFound, "The volume has no %s.", key)
	}
	return wire.JSON(wire.M{key: v}), nil
}
