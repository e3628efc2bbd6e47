package registry

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep/registry/audit"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// wellFormed refuses a request whose address holds what no page, call or database has: signs
// of control in the path, and NUL or what is no UTF-8 anywhere. PostgreSQL keeps neither, and
// a path goes into answers' heads.
func (r *Registry) wellFormed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if goodAddress(q.URL) {
			next.ServeHTTP(w, q)
			return
		}
		from, _, err := net.SplitHostPort(q.RemoteAddr)
		if err != nil {
			from = q.RemoteAddr
		}
		ctx := audit.WithOrigin(context.WithoutCancel(q.Context()), audit.Origin{Address: from, Agent: audit.AgentClass(q.Header.Get("User-Agent"))})
		if err := r.auth.RefusedRequest(ctx, auth.Principal{}, "an address that is none: "+method(q)); err != nil {
			r.log.Error("registry: a refused request is not in the trail", "err", err)
		}
		http.Error(w, "This address holds signs that no address of Coldkeep has.", http.StatusBadRequest)
	})
}

// method is the method of a request, of those that there are.
func method(q *http.Request) string {
	if q.Method == http.MethodGet || q.Method == http.MethodPost {
		return q.Method
	}
	return "another method"
}

func goodAddress(u *url.URL) bool {
	if !utf8.ValidString(u.Path) || strings.ContainsFunc(u.Path, unicode.IsControl) {
		return false
	}
	if !strings.ContainsAny(u.RawQuery, "%\x00") && utf8.ValidString(u.RawQuery) {
		return true
	}
	for _, part := range strings.FieldsFunc(u.RawQuery, func(c rune) bool { return c == '&' || c == ';' }) {
		s, err := url.QueryUnescape(part)
		if err == nil && (!utf8.ValidString(s) || strings.ContainsRune(s, 0)) {
			return false
		}
	}
	return true
}
