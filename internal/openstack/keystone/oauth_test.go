package keystone_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
)

// signer signs as OAuth's clients do: written anew here, not shared with the service.
type signer struct{ consumer, consumerSecret, token, tokenSecret, verifier string }

func (s signer) sign(f *front, path string) *wiretest.Client {
	params := map[string]string{
		"oauth_consumer_key": s.consumer, "oauth_nonce": "4d7f", "oauth_signature_method": "HMAC-SHA1", "oauth_version": "1.0",
		"oauth_timestamp": strconv.FormatInt(f.clock.Now().Unix(), 10),
	}
	for name, v := range map[string]string{"oauth_token": s.token, "oauth_verifier": s.verifier} {
		if v != "" {
			params[name] = v
		}
	}
	var pairs, header []string
	for name, v := range params {
		pairs = append(pairs, name+"="+url.QueryEscape(v))
		header = append(header, name+`="`+url.QueryEscape(v)+`"`)
	}
	slices.Sort(pairs)
	mac := hmac.New(sha1.New, []byte(s.consumerSecret+"&"+s.tokenSecret))
	mac.Write([]byte("POST&" + url.QueryEscape("http://cloud.test:5000"+path) + "&" + url.QueryEscape(strings.Join(pairs, "&"))))
	header = append(header, `oauth_signature="`+url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))+`"`)
	return f.With("Authorization", "OAuth "+strings.Join(header, ", "))
}

func TestOAuth(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, demo)
	made := admin.Do("POST", "/v3/OS-OAUTH1/consumers", wire.M{"consumer": wire.M{"description": "a program", "colour": "red"}}).Want(t, 201)
	s := signer{consumer: made.Text("consumer", "id"), consumerSecret: made.Text("consumer", "secret")}
	each := "/v3/OS-OAUTH1/consumers/" + s.consumer
	if got := admin.Do("GET", each, nil).Want(t, 200); got.Get("consumer", "secret") != nil || got.Text("consumer", "colour") != "red" {
		t.Errorf("%s", got.Body)
	}
	admin.Do("PATCH", each, wire.M{"consumer": wire.M{"secret": "mine"}}).Want(t, 400)
	const ask, take = "/v3/OS-OAUTH1/request_token", "/v3/OS-OAUTH1/access_token"
	s.sign(f, ask).Do("POST", ask, nil).Want(t, 400) // for which project?
	f.With("Requested-Project-Id", f.made.DemoProjectID).Do("POST", ask, nil).Want(t, 400)
	asks := func(s signer) *wiretest.Reply {
		return s.sign(f, ask).With("Requested-Project-Id", f.made.DemoProjectID).Do("POST", ask, nil)
	}
	wrong := s
	wrong.consumerSecret = "guessed"
	asks(wrong).Want(t, 401)
	request, err := url.ParseQuery(string(asks(s).Want(t, 201).Body))
	if err != nil {
		t.Fatal(err)
	}
	s.token, s.tokenSecret, s.verifier = request.Get("oauth_token"), request.Get("oauth_token_secret"), "xxxxxxxx"
	s.sign(f, take).Do("POST", take, nil).Want(t, 401) // nobody authorized it
	roles := wire.M{"roles": []wire.M{{"id": f.made.MemberRoleID}}}
	s.verifier = admin.Do("PUT", "/v3/OS-OAUTH1/authorize/"+s.token, roles).Want(t, 200).Text("token", "oauth_verifier")
	wrong = s
	wrong.verifier = "xxxxxxxx"
	wrong.sign(f, take).Do("POST", take, nil).Want(t, 401)
	access, err := url.ParseQuery(string(s.sign(f, take).Do("POST", take, nil).Want(t, 201).Body))
	if err != nil {
		t.Fatal(err)
	}
	s.sign(f, take).Do("POST", take, nil).Want(t, 404) // it is used up
	s.token, s.tokenSecret, s.verifier = access.Get("oauth_token"), access.Get("oauth_token_secret"), ""
	login := wire.M{"auth": wire.M{"identity": wire.M{"methods": []string{"oauth1"}, "oauth1": wire.M{}}}}
	wrong = s
	wrong.tokenSecret = "guessed"
	wrong.sign(f, "/v3/auth/tokens").Do("POST", "/v3/auth/tokens", login).Want(t, 401)
	got := s.sign(f, "/v3/auth/tokens").Do("POST", "/v3/auth/tokens", login).Want(t, 201)
	if got.Text("token", "user", "name") != "admin" || got.Text("token", "OS-OAUTH1", "consumer_id") != s.consumer ||
		got.Text("token", "project", "id") != f.made.DemoProjectID || strings.Contains(string(got.Body), `"name":"admin"}]`) {
		t.Errorf("%s", got.Body)
	}
	for i := range 3 {
		if name := got.Text("token", "roles", i, "name"); name == "admin" {
			t.Errorf("the consumer was given the role of a member and has that of an administrator")
		}
	}
	acting := f.With("X-Auth-Token", got.Header.Get("X-Subject-Token"))
	acting.Do("GET", "/v3/auth/projects", nil).Want(t, 200)
	acting.Do("GET", "/v3/users", nil).Want(t, 403)
	user := got.Text("token", "user", "id")
	tokens := "/v3/users/" + user + "/OS-OAUTH1/access_tokens"
	if list := admin.Do("GET", tokens, nil).Want(t, 200); list.Text("access_tokens", 0, "id") != s.token || strings.Contains(string(list.Body), s.tokenSecret) {
		t.Errorf("%s", list.Body)
	}
	admin.Do("GET", tokens+"/"+s.token+"/roles/"+f.made.MemberRoleID, nil).Want(t, 200)
	admin.Do("GET", tokens+"/"+s.token+"/roles/"+f.made.AdminRoleID, nil).Want(t, 404)
	admin.Do("DELETE", tokens+"/"+s.token, nil).Want(t, 204)
	acting.Do("GET", "/v3/auth/projects", nil).Want(t, 401)
}

func TestOAuthEndsInTime(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, demo)
	made := admin.Do("POST", "/v3/OS-OAUTH1/consumers", wire.M{"consumer": wire.M{}}).Want(t, 201)
	s := signer{consumer: made.Text("consumer", "id"), consumerSecret: made.Text("consumer", "secret")}
	const ask = "/v3/OS-OAUTH1/request_token"
	old := s.sign(f, ask).With("Requested-Project-Id", f.made.DemoProjectID)
	reply := old.Do("POST", ask, nil).Want(t, 201)
	f.clock.Advance(11 * time.Minute)
	old.Do("POST", ask, nil).Want(t, 401) // a signature is good for a while only
	request, _ := url.ParseQuery(string(reply.Body))
	f.clock.Advance(8 * time.Hour)
	admin = f.login("admin", secret, demo)
	admin.Do("PUT", "/v3/OS-OAUTH1/authorize/"+request.Get("oauth_token"), wire.M{"roles": []wire.M{{"name": "member"}}}).Want(t, 401)
}

func TestDomainConfig(t *testing.T) {
	f := open(t)
	admin := f.login("admin", secret, system)
	id := admin.Do("POST", "/v3/domains", wire.M{"domain": wire.M{"name": "elsewhere"}}).Want(t, 201).Text("domain", "id")
	config := "/v3/domains/" + id + "/config"
	admin.Do("GET", config, nil).Want(t, 404)
	body := wire.M{"config": wire.M{"ldap": wire.M{"url": "ldap://x", "password": "hush"}, "identity": wire.M{"driver": "ldap"}}}
	if got := admin.Do("PUT", config, body).Want(t, 201); strings.Contains(string(got.Body), "hush") {
		t.Errorf("a password is shown: %s", got.Body)
	}
	admin.Do("PUT", config, body).Want(t, 200)
	for _, tt := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"PUT", config, wire.M{"config": wire.M{}}, 403},
		{"PUT", config, wire.M{"config": wire.M{"kvm": wire.M{"url": "x"}}}, 403},
		{"PUT", config, wire.M{"config": wire.M{"ldap": wire.M{"colour": "x"}}}, 403},
		{"PUT", "/v3/domains/nowhere/config", body, 404},
		{"PATCH", config + "/ldap", wire.M{"config": wire.M{"identity": wire.M{"driver": "sql"}}}, 403},
		{"PATCH", config + "/ldap/user", wire.M{"config": wire.M{"user": "x"}}, 404},
		{"GET", config + "/ldap/password", nil, 404},
		{"GET", config + "/ldap/colour", nil, 403},
		{"GET", "/v3/domains/config/ldap/url/default", nil, 200},
		{"GET", "/v3/domains/config/kvm/default", nil, 403},
		{"GET", "/v3/domains/" + id + "/config/security_compliance", nil, 403},
		{"DELETE", config + "/identity/driver", nil, 204},
		{"DELETE", config + "/identity", nil, 404},
	} {
		admin.Do(tt.method, tt.path, tt.body).Want(t, tt.status)
	}
	if got := admin.Do("PATCH", config+"/ldap/url", wire.M{"config": wire.M{"url": "ldap://y"}}).Want(t, 200).Text("config", "ldap", "url"); got != "ldap://y" {
		t.Error(got)
	}
	f.member(admin, "ann")
	ann := f.login("ann", secret, demo)
	ann.Do("GET", config, nil).Want(t, 403)
	ann.Do("GET", config+"/ldap", nil).Want(t, 403)
	ann.Do("GET", "/v3/domains/default/config/security_compliance/password_regex", nil).Want(t, 200)
	admin.Do("DELETE", config, nil).Want(t, 204)
	admin.Do("GET", config, nil).Want(t, 404)
}
