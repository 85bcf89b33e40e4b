package disk

import (
	"errors"
	"fmt"
)

// Kind says whose fault an [Error] is and so what can be done about it.
type Kind string

// The kinds of errors this package returns.
const (
	Refused     Kind = "refused"     // the bytes are not acceptable: broken, or dangerous
	Mismatch    Kind = "mismatch"    // the bytes are not of the format that was claimed
	TooBig      Kind = "too-big"     // larger than a limit allows
	Unsupported Kind = "unsupported" // well formed, but nothing here can work on it
	ToolMissing Kind = "tool"        // a program this needs is not installed
	ToolFailed  Kind = "tool-failed" // a program in the sandbox failed
	TimedOut    Kind = "timeout"     // a program took longer than its limit
)

// Error is what every function of this package returns for what is not an
// input/output error of the host. Reason is a sentence for people.
type Error struct {
	Kind   Kind
	Op     string
	Reason string
	Err    error
}

// Error gives the operation and the reason in one sentence.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Op, e.Reason, e.Err)
	}
	return e.Op + ": " + e.Reason
}

// Unwrap gives the cause, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of err, or "" when err is not from this package.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

func fail(k Kind, op, format string, args ...any) error {
	return &Error{Kind: k, Op: op, Reason: fmt.Sprintf(format, args...)}
}
