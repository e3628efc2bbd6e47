package soap

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// Service answers requests over HTTP.
type Service struct {
	Door  Door
	Limit int64 // bytes of a request
	Log   *slog.Logger
}

// ServeHTTP implements http.Handler: a request, which is a POST.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";") // whatever its parameters are: the XML says what it is in
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "", "application/soap+xml", "text/xml", "application/xml":
	default:
		http.Error(w, "Content-Type: want application/soap+xml; attachments (MTOM) are not taken", http.StatusUnsupportedMediaType)
		return
	}
	req, fault := Read(http.MaxBytesReader(w, r.Body, s.Limit))
	if fault != nil {
		s.answer(w, req.Version, fault.status(), fault.Bytes(req.Version))
		return
	}
	if req.Operation == ConnectivityTest {
		s.answer(w, req.Version, http.StatusOK, Response(req.Version, req.Operation, "Coldkeep has received: "+req.EchoBack))
		return
	}
	text, err := s.Door.Submit(r.Context(), req)
	if err == nil {
		s.answer(w, req.Version, http.StatusOK, Response(req.Version, req.Operation, text))
		return
	}
	if !errors.As(err, &fault) {
		fault = faultOf(err)
		if fault.Code == CodeInternal {
			s.Log.Error("registry soap", "err", err)
		}
	}
	s.answer(w, req.Version, fault.status(), fault.Bytes(req.Version))
}

func (s *Service) answer(w http.ResponseWriter, v Version, status int, body []byte) {
	w.Header().Set("Content-Type", v.MediaType())
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.Log.Debug("registry soap: answer not taken", "err", err)
	}
}

// status is that of every fault but Sender, which is not sent (SOAP 1.2 part 2, table 20).
func (*Fault) status() int { return http.StatusInternalServerError }

func faultOf(err error) *Fault {
	f := &Fault{Kind: Unknown, Code: CodeInternal, Detail: coldkeep.ErrorMessage(err)}
	switch coldkeep.ErrorCode(err) {
	case coldkeep.EUNAUTHORIZED:
		f.Kind, f.Code = Security, CodeSecurity
	case coldkeep.EFORBIDDEN:
		f.Kind, f.Code = Security, CodeForbidden
	case coldkeep.EINVALID:
		f.Code = CodeNoMessage
	case coldkeep.ETOOMANY:
		f.Code = CodeTooMany
	case coldkeep.EUNAVAILABLE:
		f.Code = CodeUnavailable
	}
	return f
}
