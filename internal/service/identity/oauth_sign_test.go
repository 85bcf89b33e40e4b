package identity

import (
	"testing"
	"time"

	"hearth/internal/cloud"
)

// The signature is what oauthlib 3.2 makes of the same request.
func TestSignatureOfAnotherImplementation(t *testing.T) {
	r := SignedRequest{Method: "post", URL: "http://Example.com:80/v3/OS-OAUTH1/access_token", Params: [][2]string{
		{"b", "2"}, {"a", "x y"}, {"a", "1"},
		{"oauth_nonce", "7d8f3e4a"}, {"oauth_timestamp", "1767323045"}, {"oauth_version", "1.0"}, {"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_consumer_key", "0685bd9184jfhq22"}, {"oauth_token", "ad180jjd733klru7"}, {"oauth_verifier", "Az4~ x"},
		{"oauth_signature", "gQZ6frwYYMqIlvap6Vx8VlO3BH8="}, {"realm", "x"},
	}}
	at := time.Unix(1767323045, 0)
	if err := r.signed("kd94hf93k423kf44", "pfkkdhi9sl3r4s00", at); err != nil {
		t.Errorf("%v\n%s", err, r.base())
	}
	plain := SignedRequest{Params: [][2]string{{"oauth_nonce", "1"}, {"oauth_timestamp", "1767323045"}, {"oauth_signature_method", "PLAINTEXT"}, {"oauth_signature", "kd94&pf k"}}}
	if err := plain.signed("kd94", "pf k", at); !cloud.Is(err, cloud.Unauthenticated) {
		t.Errorf("secrets that are not escaped: %v", err)
	}
	plain.Params[3][1] = "kd94&pf%20k"
	if err := plain.signed("kd94", "pf k", at); err != nil {
		t.Errorf("plain: %v", err)
	}
	if err := plain.signed("kd94", "", at); !cloud.Is(err, cloud.Unauthenticated) {
		t.Errorf("plain, of another token: %v", err)
	}
	if err := r.signed("kd94hf93k423kf44", "other", at); !cloud.Is(err, cloud.Unauthenticated) {
		t.Errorf("another secret: %v", err)
	}
	if err := r.signed("kd94hf93k423kf44", "pfkkdhi9sl3r4s00", at.Add(maxClockAge+time.Second)); !cloud.Is(err, cloud.Unauthenticated) {
		t.Errorf("an old signature: %v", err)
	}
}
