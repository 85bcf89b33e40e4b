package keystone_test

import (
	"testing"

	"hearth/internal/openstack/wire"
)

// TestComparators holds the inexact filters of lists, and the attributes that
// clients put on roles.
func TestComparators(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, nil)
	role := admin.Do("POST", "/v3/roles", wire.M{"role": wire.M{"name": "Auditor", "colour": "red"}}).Want(t, 201)
	one := "/v3/roles/" + role.Text("role", "id")
	if got := admin.Do("PATCH", one, wire.M{"role": wire.M{"email": "a@example.com", "colour": nil}}).Want(t, 200); got.Text("role", "email") != "a@example.com" || got.Get("role", "colour") != nil {
		t.Errorf("%s", got.Body)
	}
	for query, found := range map[string]bool{
		"name__contains=udit": true, "name__contains=UDIT": false, "name__icontains=UDIT": true, "name__startswith=Aud": true,
		"name__startswith=tor": false, "name__endswith=tor": true, "name__iendswith=TOR": true, "name__contains=nobody": false,
		"email__contains=example": true,
	} {
		has := false
		list := admin.Do("GET", "/v3/roles?"+query, nil).Want(t, 200)
		for i := 0; list.Get("roles", i) != nil; i++ {
			has = has || list.Text("roles", i, "name") == "Auditor"
		}
		if has != found {
			t.Errorf("%s: found %v", query, has)
		}
	}
}
