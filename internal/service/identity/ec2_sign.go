package identity

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// KeyPairLogin proves a user by what a secret key of Amazon's kind has signed: a
// request to EC2, as a service got it and asks about, or, with a Token, the text
// that was signed in a request to S3.
type KeyPairLogin struct {
	Access, Signature      string
	Verb, Host, Path, Body string // Body is the SHA-256 of the body, in hexadecimal digits
	Params, Headers        map[string]string
	S3                     bool
	Token                  []byte // the string to sign of S3
}

// signatureLife is how long a signature is good that says when it was made
// (keystone's credential.auth_ttl).
const signatureLife = 15 * time.Minute

const algorithm4 = "AWS4-HMAC-SHA256"

func keyed(make func() hash.Hash, key []byte, text string) []byte {
	h := hmac.New(make, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// badSignature is the refusal of a signature.
func badSignature(k *KeyPairLogin, why string) error { return deny(BadSignature, k.Access, "%s", why) }

// verify compares the signature with what the secret makes.
func (k *KeyPairLogin) verify(secret string, now time.Time) error {
	if k.Signature == "" {
		return badSignature(k, "EC2 signature not supplied.")
	}
	want, err := k.sign(secret, k.Host)
	if err != nil {
		return err
	}
	if !same(k.Signature, want) {
		host, _, port := strings.Cut(k.Host, ":")
		if !port || k.S3 { // some clients sign without the port
			return badSignature(k, "Invalid EC2 signature.")
		}
		if want, err = k.sign(secret, host); err != nil {
			return err
		}
		if !same(k.Signature, want) {
			return badSignature(k, "Invalid EC2 signature.")
		}
	}
	return k.fresh(now)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// fresh refuses a signature that was made long ago, if it says when.
func (k *KeyPairLogin) fresh(now time.Time) error {
	text := k.Params["Timestamp"]
	for _, from := range []map[string]string{k.Headers, k.Params} {
		if text == "" {
			text = from["X-Amz-Date"]
		}
	}
	if text == "" {
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "20060102T150405Z"} {
		made, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if now.After(made.Add(signatureLife)) {
			return deny(TokenExpired, k.Access, "the signature was made at %s", made.Format(time.RFC3339))
		}
		return nil
	}
	return badSignature(k, "Credential timestamp is invalid")
}

// sign makes the signature that there should be.
func (k *KeyPairLogin) sign(secret, host string) (string, error) {
	switch version := k.Params["SignatureVersion"]; {
	case k.S3:
		return k.signS3(secret)
	case version == "2":
		return k.sign2(secret, host), nil
	case version == "0", version == "1":
		return "", badSignature(k, "signatures of the versions 0 and 1 are not taken: they can be forged")
	case strings.HasPrefix(k.Headers["Authorization"], algorithm4), k.Params["X-Amz-Algorithm"] == algorithm4:
		return k.sign4(secret)
	}
	return "", badSignature(k, "Unexpected signature format")
}

// sign2 is version 2 ("Signature Version 2", Amazon's general reference).
func (k *KeyPairLogin) sign2(secret, host string) string {
	params := maps.Clone(k.Params)
	params["SignatureMethod"] = "HmacSHA256"
	text := k.Verb + "\n" + host + "\n" + k.Path + "\n" + canonicalQuery(params)
	return base64.StdEncoding.EncodeToString(keyed(sha256.New, []byte(secret), text))
}

// canonicalQuery are parameters in order, encoded as Amazon has it.
func canonicalQuery(params map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, escape(name)+"="+escape(params[name]))
	}
	return strings.Join(pairs, "&")
}

// field4 reads a part of a signature of version 4: of the header Authorization, or
// of the query.
func (k *KeyPairLogin) field4(name string) string {
	auth, there := k.Headers["Authorization"]
	if !there {
		return k.Params["X-Amz-"+name]
	}
	_, rest, _ := strings.Cut(auth, name+"=")
	value, _, _ := strings.Cut(rest, ",")
	return strings.TrimSpace(value)
}

// sign4 is version 4 ("Signature Version 4 signing process").
func (k *KeyPairLogin) sign4(secret string) (string, error) {
	date := k.Headers["X-Amz-Date"]
	if date == "" {
		date = k.Params["X-Amz-Date"]
	}
	scope := strings.Split(k.field4("Credential"), "/")
	if len(scope) != 5 || scope[1] == "" || !strings.HasPrefix(date, scope[1]) {
		return "", badSignature(k, "the credential's scope is not of the request's date")
	}
	query := ""
	if !strings.EqualFold(k.Verb, "POST") { // whose parameters are its body
		query = canonicalQuery(k.Params)
	}
	signed := k.field4("SignedHeaders")
	request := strings.Join([]string{strings.ToUpper(k.Verb), k.Path, query, k.canonicalHeaders(signed), signed, k.Body}, "\n")
	sum := sha256.Sum256([]byte(request))
	text := strings.Join([]string{algorithm4, date, strings.Join(scope[1:], "/"), hex.EncodeToString(sum[:])}, "\n")
	return hex.EncodeToString(keyed(sha256.New, key4(secret, scope[1], scope[2], scope[3]), text)), nil
}

// oldBoto signs the host without its port.
var oldBoto = regexp.MustCompile(`^Boto/2\.[0-9]\.[0-2]`)

// canonicalHeaders are the headers that are signed, a line each.
func (k *KeyPairLogin) canonicalHeaders(signed string) string {
	lower := map[string]string{}
	for name, value := range k.Headers {
		lower[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	var lines []string
	for name := range strings.SplitSeq(signed, ";") {
		value, there := lower[name]
		if name == "host" && oldBoto.MatchString(lower["user-agent"]) {
			value, _, _ = strings.Cut(value, ":")
		}
		if there {
			lines = append(lines, name+":"+value)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// key4 derives the key of a day, a region and a service.
func key4(secret string, scope ...string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range append(scope, "aws4_request") {
		key = keyed(sha256.New, key, part)
	}
	return key
}

// signS3 signs the text that S3's signature is of: by version 4, or by the one that
// came before.
func (k *KeyPairLogin) signS3(secret string) (string, error) {
	text := string(k.Token)
	if !strings.HasPrefix(text, "AWS4") {
		return base64.StdEncoding.EncodeToString(keyed(sha1.New, []byte(secret), text)), nil
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != algorithm4 {
		return "", badSignature(k, "Invalid EC2 signature.")
	}
	scope := strings.Split(lines[2], "/")
	if len(scope) != 4 || scope[3] != "aws4_request" || !slices.Contains([]string{"s3", "iam", "sts"}, scope[2]) {
		return "", badSignature(k, "Invalid EC2 signature.")
	}
	return hex.EncodeToString(keyed(sha256.New, key4(secret, scope[:3]...), text)), nil
}
