// Package identity is who may do what: domains, projects, users, roles and
// their assignments, application credentials, logins and tokens, as keystone v3
// means them.
//
// # Tokens
//
// A token is sealed (AES-256-GCM) with a key of the store and holds who, where,
// how and until when; nothing is kept for it. What its user may do is looked up
// whenever the token is judged, so a role taken away, a disabled user, project
// or domain, or a changed password is felt at once. Judgements are remembered
// until anything about identity changes. Keys are rotated; an old one is kept
// until the last token it sealed has expired.
//
// # Passwords
//
// Passwords and secrets are kept as bcrypt hashes, cost 12, about 250 ms each:
// so that a command line that logs in for every command does not pay that each
// time, a password that was right is remembered for five minutes as an HMAC
// under a key that only this process has. The HMAC covers the stored hash, so a
// changed password is forgotten with it. Only right passwords are remembered: a
// wrong one, and an unknown user, always cost a whole bcrypt, and only as many
// of those run at once as there are processors.
package identity
