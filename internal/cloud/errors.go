package cloud

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. Only openstack/wire turns a kind
// into an HTTP status.
type Kind uint8

// The kinds of error, each with the status that OpenStack's services answer.
const (
	Internal        Kind = iota // 500: a defect or an unexpected failure of the host
	Invalid                     // 400: the request cannot be meant as it stands
	Unauthenticated             // 401: no or no valid token
	Forbidden                   // 403: the policy or the state of the resource forbids it
	QuotaExceeded               // 403 or 413 (nova, neutron: 409): over a quota
	NotFound                    // 404
	Conflict                    // 409: the resource is in a state, or in use, that does not allow it
	Gone                        // 410
	Precondition                // 412
	TooLarge                    // 413: more bytes than allowed
	MediaType                   // 415
	RangeInvalid                // 416
	Unsupported                 // 501: the operation is not implemented here
	Unavailable                 // 503: try again later
	NoCapacity                  // no host fits; seen in a server's fault
	NotAcceptable               // 406: unsupported microversion
)

var kindNames = [...]string{
	"internal error", "invalid", "unauthenticated", "forbidden", "quota exceeded", "not found", "conflict", "gone",
	"precondition failed", "too large", "unsupported media type", "range invalid", "not implemented", "unavailable",
	"no capacity", "not acceptable",
}

// String is the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is the one error type that crosses rooms: the operation that failed, a
// kind, and a sentence for the person who asked, which says the cause and the
// next step.
type Error struct {
	Op   string // the operation, such as "image.Upload"
	Kind Kind
	Err  error // the sentence, perhaps wrapping a cause
}

// E makes an Error. The format and its arguments are those of fmt.Errorf, so %w
// keeps the cause.
func E(op string, kind Kind, format string, args ...any) error {
	return &Error{Op: op, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Error is the operation and the sentence, for logs.
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap gives the sentence's error, so that errors.Is and errors.As see causes.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the outermost Error in err's chain; Internal if none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is tells whether err is of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Message is the sentence for the person who asked: the outermost Error's
// without its operation.
func Message(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}
