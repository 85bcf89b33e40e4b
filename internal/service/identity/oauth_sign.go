package identity

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
)

// SignedRequest is a request with a signature of OAuth 1.0a (RFC 5849).
type SignedRequest struct {
	Method string
	URL    string      // scheme, host and path, as the client wrote them
	Params [][2]string // names and values, decoded: of the Authorization header, the query and a form
}

// maxClockAge is how old, or how far ahead, the time of a signature may be.
const maxClockAge = 10 * time.Minute

// param is the value of a parameter; "" for none.
func (r SignedRequest) param(name string) string {
	for _, p := range r.Params {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

// base is the signature base string (RFC 5849, 3.4.1).
func (r SignedRequest) base() string {
	var pairs [][2]string
	for _, p := range r.Params {
		if p[0] != "oauth_signature" && p[0] != "realm" {
			pairs = append(pairs, [2]string{escape(p[0]), escape(p[1])})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	var joined []string
	for _, p := range pairs {
		joined = append(joined, p[0]+"="+p[1])
	}
	return strings.ToUpper(r.Method) + "&" + escape(plainURL(r.URL)) + "&" + escape(strings.Join(joined, "&"))
}

// plainURL is an address as it is signed: no default port, no query, scheme and
// host in small letters.
func plainURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	u.Scheme, u.Host, u.RawQuery, u.Fragment = strings.ToLower(u.Scheme), strings.ToLower(u.Host), "", ""
	if u.Scheme == "http" {
		u.Host = strings.TrimSuffix(u.Host, ":80")
	} else {
		u.Host = strings.TrimSuffix(u.Host, ":443")
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// escape is percent-encoding as OAuth has it: all but letters, digits, "-", ".",
// "_" and "~".
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// signed tells whether the secrets made the signature, and lately.
func (r SignedRequest) signed(consumerSecret, tokenSecret string, now time.Time) error {
	bad := func(why string) error {
		return cloud.E("identity.oauth", cloud.Unauthenticated, "%w", &Denial{BadSignature, r.param("oauth_consumer_key"), why})
	}
	seconds, err := strconv.ParseInt(r.param("oauth_timestamp"), 10, 64)
	switch at := time.Unix(seconds, 0); {
	case err != nil:
		return bad("oauth_timestamp is not a number of seconds")
	case at.After(now.Add(maxClockAge)) || at.Before(now.Add(-maxClockAge)):
		return bad("it was made at " + at.UTC().Format(time.RFC3339))
	case r.param("oauth_nonce") == "":
		return bad("it has no oauth_nonce")
	}
	hashes := map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New}
	want := escape(consumerSecret) + "&" + escape(tokenSecret)
	if method := r.param("oauth_signature_method"); method != "PLAINTEXT" { // that is the secrets as they are
		newHash, ok := hashes[method]
		if !ok {
			return bad("the method is none of HMAC-SHA1, HMAC-SHA256 and PLAINTEXT")
		}
		mac := hmac.New(newHash, []byte(want))
		mac.Write([]byte(r.base()))
		want = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(r.param("oauth_signature"))) != 1 {
		return bad("it is not by the secrets of the consumer and the token")
	}
	return nil
}
