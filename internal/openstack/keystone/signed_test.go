package keystone_test

import (
	"encoding/base64"
	"maps"
	"testing"
	"time"

	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
)

// The signatures were made by Debian's keystoneclient (contrib.ec2.utils.Ec2Signer)
// and keystone (api/s3tokens.py) with the secret "secret".
const (
	ofV2       = "BmHeGqaBU8BP96q59oVyUQW6Zo9ZQXQJzzZtnkNz6Jc="
	ofV2NoPort = "kxDKs3bjALP0DA3/6/Ts/7UsCSI7LpV/zeVLpiF8it8="
	ofV4       = "d1323de1b02da1fc1c0542e6fce553c36501190c2fd146047e5f1b2d304b3261"
	ofV4Query  = "a0559803a89d8b42e12b13dbfb3cbc9a1a63dc5c2b34644168aa29ef2fb4111b"
	ofS3       = "e9DXvtzZHRFLLV+QIuqnibjl5/k="
	ofS3V4     = "d72e6619e858ddbcd67fa8c918faa24a1148c77467c212c5d4b7efe598aad02a"
)

func v2(signature string) wire.M {
	return wire.M{"access": "access", "signature": signature, "host": "cloud.test:8773", "verb": "GET", "path": "/services/Cloud/", "params": wire.M{
		"SignatureVersion": 2, "AWSAccessKeyId": "access", "Action": "Describe Instances~*", "Timestamp": "2026-01-02T03:04:00Z", "Filter": "a+b/c"}}
}

func v4(signature string) wire.M {
	return wire.M{"access": "access", "signature": signature, "host": "cloud.test:8773", "verb": "POST", "path": "/", "params": wire.M{"Action": "DescribeInstances"},
		"body_hash": "d2c784fddd5cb885f870e1ea4d0e9cf479296ad64ca693b8e26d872b0cfa3689", "headers": wire.M{
			"X-Amz-Date": "20260102T030400Z", "Host": "cloud.test:8773", "User-Agent": "boto3",
			"Authorization": "AWS4-HMAC-SHA256 Credential=access/20260102/RegionOne/ec2/aws4_request,SignedHeaders=host;user-agent;x-amz-date,Signature=zzz"}}
}

func v4Query(signature string) wire.M {
	return wire.M{"access": "access", "signature": signature, "host": "cloud.test:8773", "verb": "GET", "path": "/",
		"body_hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "headers": wire.M{"Host": "cloud.test:8773"}, "params": wire.M{
			"Action": "DescribeInstances", "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "access/20260102/RegionOne/ec2/aws4_request",
			"X-Amz-Date": "20260102T030400Z", "X-Amz-SignedHeaders": "host"}}
}

func s3(signature, text string) wire.M {
	return wire.M{"access": "access", "signature": signature, "token": base64.URLEncoding.EncodeToString([]byte(text))}
}

const (
	s3Text   = "GET\n\n\nThu, 01 Jan 2026\n/b/o"
	s3V4Text = "AWS4-HMAC-SHA256\n20260102T030400Z\n20260102/us-east-1/s3/aws4_request\nabababababababababababababababababababababababababababababababab"
)

// keyPairOwner has a user with a key pair whose secret is known.
func keyPairOwner(t *testing.T) (f *front, admin *wiretest.Client, user string) {
	t.Helper()
	f = open(t)
	admin = f.login("admin", secret, system)
	user = f.member(admin, "ann")
	admin.Do("POST", "/v3/credentials", wire.M{"credential": wire.M{"type": "ec2", "user_id": user, "project_id": f.made.DemoProjectID,
		"blob": `{"access":"access","secret":"secret"}`}}).Want(t, 201)
	return f, admin, user
}

func TestSignedRequests(t *testing.T) {
	f, admin, user := keyPairOwner(t)
	for name, test := range map[string]struct {
		path string
		body wire.M
	}{
		"v2": {"ec2", wire.M{"credentials": v2(ofV2)}}, "v2 without the port": {"ec2", wire.M{"ec2Credentials": v2(ofV2NoPort)}},
		"v4": {"ec2", wire.M{"credential": v4(ofV4)}}, "v4 in the query": {"ec2", wire.M{"credentials": v4Query(ofV4Query)}},
		"S3": {"s3", wire.M{"credentials": s3(ofS3, s3Text)}}, "S3 v4": {"s3", wire.M{"credentials": s3(ofS3V4, s3V4Text)}},
	} {
		r := admin.Do("POST", "/v3/"+test.path+"tokens", test.body)
		if r.Status != 200 || r.Text("token", "user", "id") != user || r.Text("token", "project", "id") != f.made.DemoProjectID ||
			r.Text("token", "methods", 0) != "ec2credential" || r.Text("token", "roles", 0, "name") == "" {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
			continue
		}
		token := r.Header.Get("X-Subject-Token")
		if (token != "") != (test.path == "ec2") {
			t.Errorf("%s: token %q", name, token)
		}
		if token != "" {
			f.With("X-Auth-Token", token).Do("GET", "/v3/auth/projects", nil).Want(t, 200)
		}
	}
}

func TestBadlySignedRequests(t *testing.T) {
	f, admin, _ := keyPairOwner(t)
	without := func(m wire.M, field string) wire.M {
		m = maps.Clone(m)
		delete(m, field)
		return m
	}
	for name, test := range map[string]struct {
		path   string
		body   wire.M
		status int
	}{
		"wrong":         {"ec2", v2(ofV2NoPort[1:] + "A"), 401},
		"none":          {"ec2", without(v2(ofV2), "signature"), 401},
		"no access":     {"ec2", without(v2(ofV2), "access"), 401},
		"nobody's":      {"ec2", wire.M{"access": "x", "signature": "x"}, 404},
		"another path":  {"ec2", wire.M{"access": "access", "signature": ofV4, "path": "/x", "verb": "POST", "headers": v4("")["headers"]}, 401},
		"no version":    {"ec2", wire.M{"access": "access", "signature": "x", "params": wire.M{}}, 401},
		"version 1":     {"ec2", wire.M{"access": "access", "signature": "x", "params": wire.M{"SignatureVersion": "1"}}, 401},
		"another day":   {"ec2", wire.M{"access": "access", "signature": "x", "headers": wire.M{"Authorization": "AWS4-HMAC-SHA256 Credential=access/20260101/R/ec2/aws4_request", "X-Amz-Date": "20260102T030400Z"}}, 401},
		"S3, wrong":     {"s3", s3(ofS3V4, s3Text), 401},
		"S3, of EC2":    {"s3", s3(ofS3V4, "AWS4-HMAC-SHA256\n20260102T030400Z\n20260102/us-east-1/ec2/aws4_request\nab"), 401},
		"S3, no base64": {"s3", wire.M{"access": "access", "signature": "x", "token": "%"}, 400},
	} {
		if r := admin.Do("POST", "/v3/"+test.path+"tokens", wire.M{"credentials": test.body}); r.Status != test.status {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	ann := f.login("ann", secret, demo)
	ann.Do("POST", "/v3/ec2tokens", wire.M{"credentials": v2(ofV2)}).Want(t, 403)
	f.Do("POST", "/v3/s3tokens", wire.M{"credentials": s3(ofS3, s3Text)}).Want(t, 401)
	f.clock.Advance(16 * time.Minute)
	admin.Do("POST", "/v3/ec2tokens", wire.M{"credentials": v2(ofV2)}).Want(t, 401)
	admin.Do("POST", "/v3/ec2tokens", wire.M{"credentials": v4(ofV4)}).Want(t, 401)
	admin.Do("POST", "/v3/s3tokens", wire.M{"credentials": s3(ofS3, s3Text)}).Want(t, 200) // its text is the request's, which the service judges
}
