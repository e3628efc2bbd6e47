package coldkeep

import (
	"errors"
	"fmt"
	"net/http"
)

// The error codes. Each has one meaning everywhere, over HTTP (Status), in the
// tools' exit codes and in the problem documents of the APIs.
const (
	EINVALID      = "invalid"      // the input is wrong; the message says what and where
	EUNAUTHORIZED = "unauthorized" // who is asking is not known
	EFORBIDDEN    = "forbidden"    // known, and not allowed
	ENOTFOUND     = "not_found"
	ECONFLICT     = "conflict" // it contradicts what is already there
	ETOOMANY      = "too_many" // slow down
	EUNAVAILABLE  = "unavailable"
	EINTERNAL     = "internal" // ours; the detail is logged, never shown
)

// Error is Coldkeep's error: a code for the program, a message for the person.
type Error struct {
	Code    string
	Op      string // what was being done, such as "readings.Append"
	Message string // for the person; names what and where
	Err     error  // the cause, for the log
}

// Errorf makes an Error with a message.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error that keeps its cause. A nil err gives nil.
func Wrap(err error, code, op, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Op: op, Message: fmt.Sprintf(format, args...), Err: err}
}

// Error gives op, message and cause, for logs.
func (e *Error) Error() string {
	s := e.Message
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the code of err, "" for nil and EINTERNAL for an error that
// is not ours.
func ErrorCode(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return EINTERNAL
}

// ErrorMessage returns what a person may be shown of err.
func ErrorMessage(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e.Code != EINTERNAL:
		return e.Message
	}
	return "An internal error has occurred. It has been logged."
}

// Status maps an error code to an HTTP status.
func Status(code string) int {
	switch code {
	case "":
		return http.StatusOK
	case EINVALID:
		return http.StatusBadRequest
	case EUNAUTHORIZED:
		return http.StatusUnauthorized
	case EFORBIDDEN:
		return http.StatusForbidden
	case ENOTFOUND:
		return http.StatusNotFound
	case ECONFLICT:
		return http.StatusConflict
	case ETOOMANY:
		return http.StatusTooManyRequests
	case EUNAVAILABLE:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
