// Package otlpfake is an OpenTelemetry collector that keeps the spans it is sent by
// OTLP over HTTP, protobuf, gzipped or not.
package otlpfake

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span with what surrounds it.
type Span struct {
	Service    string
	Name       string
	TraceID    string // hex
	SpanID     string
	ParentID   string            // "" has none
	Attributes map[string]string // numbers as text
	Failed     bool
	Message    string // of the status
}

// Collector is the fake. Serve it by net/http; the zero value is ready.
type Collector struct {
	mu    sync.Mutex
	spans []Span
	bad   []error
}

// Spans returns what has come so far, and what could not be understood.
func (c *Collector) Spans() ([]Span, []error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...), append([]error(nil), c.bad...)
}

// ServeHTTP takes POST /v1/traces.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := c.take(r); err != nil {
		c.mu.Lock()
		c.bad = append(c.bad, err)
		c.mu.Unlock()
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	answer, _ := proto.Marshal(&collector.ExportTraceServiceResponse{}) // an empty message always marshals
	_, _ = w.Write(answer)                                              // a client that left misses nothing
}

func (c *Collector) take(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("%s %s with %q is not OTLP over HTTP", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = z
	}
	b, err := io.ReadAll(io.LimitReader(body, 16<<20))
	if err != nil {
		return err
	}
	var req collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(b, &req); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range req.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{Service: service, Name: s.GetName(), TraceID: fmt.Sprintf("%x", s.GetTraceId()), SpanID: fmt.Sprintf("%x", s.GetSpanId()),
					ParentID: fmt.Sprintf("%x", s.GetParentSpanId()), Attributes: map[string]string{},
					Failed: s.GetStatus().GetCode() == 2, Message: s.GetStatus().GetMessage()} // STATUS_CODE_ERROR
				for _, a := range s.GetAttributes() {
					v := a.GetValue().GetStringValue()
					if v == "" {
						v = fmt.Sprint(a.GetValue().GetIntValue())
					}
					span.Attributes[a.GetKey()] = v
				}
				c.spans = append(c.spans, span)
			}
		}
	}
	return nil
}
