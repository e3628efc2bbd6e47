package tracing_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/otlpfake"
	"github.com/coldkeep/coldkeep/internal/tracing"
)

var log = slog.New(slog.DiscardHandler)

// environment is empty but for pairs of names and values.
func environment(t *testing.T, pairs ...string) {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		t.Setenv(pairs[i], pairs[i+1])
	}
}

// steps is a take with two steps in it, one of which fails.
func steps(ctx context.Context) {
	ctx, end := tracing.Span(ctx, "ingest.take", tracing.Count{Name: "batches", N: 3})
	_, endStore := tracing.Span(ctx, "ingest.store", tracing.Count{Name: "readings", N: 180})
	endStore(nil)
	_, endCommit := tracing.Span(ctx, "ingest.commit")
	endCommit(coldkeep.Errorf(coldkeep.EUNAVAILABLE, "the database of Jane Doe's clinic is away"))
	end(nil)
}

func TestSpansArrive(t *testing.T) {
	var c otlpfake.Collector
	srv := httptest.NewServer(&c)
	defer srv.Close()
	for name, env := range map[string][]string{
		"endpoint":  {"OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL, "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
		"of traces": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", srv.URL + "/v1/traces", "OTEL_SERVICE_NAME", "of traces"},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, env...)
			stop, err := tracing.Start(t.Context(), name, "1.2.3", log)
			if err != nil {
				t.Fatal(err)
			}
			steps(t.Context())
			if err := stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			all, bad := c.Spans()
			if len(bad) > 0 {
				t.Fatal(bad)
			}
			spans := map[string]otlpfake.Span{}
			for _, s := range all {
				if s.Service == name {
					spans[s.Name] = s
				}
			}
			take, store, commit := spans["ingest.take"], spans["ingest.store"], spans["ingest.commit"]
			if len(spans) != 3 || take.ParentID != "" || store.ParentID != take.SpanID || commit.ParentID != take.SpanID || store.TraceID != take.TraceID {
				t.Fatalf("%+v", all)
			}
			if take.Attributes["coldkeep.batches"] != "3" || store.Attributes["coldkeep.readings"] != "180" {
				t.Errorf("counts: %+v, %+v", take, store)
			}
			if take.Failed || store.Failed || !commit.Failed || commit.Message != coldkeep.EUNAVAILABLE || len(commit.Attributes) > 0 {
				t.Errorf("an error is its code and nothing else: %+v", commit)
			}
			// After the end nothing is sent any more.
			steps(t.Context())
			if again, _ := c.Spans(); len(again) != len(all) {
				t.Error("spans after the end")
			}
		})
	}
}

func TestOff(t *testing.T) {
	var c otlpfake.Collector
	srv := httptest.NewServer(&c)
	defer srv.Close()
	for name, env := range map[string][]string{
		"nothing set": {},
		"disabled":    {"OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL, "OTEL_SDK_DISABLED", "TRUE"},
		"none":        {"OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL, "OTEL_TRACES_EXPORTER", "none"},
	} {
		environment(t, env...)
		stop, err := tracing.Start(t.Context(), "x", "", log)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ctx, end := tracing.Span(t.Context(), "ingest.take")
		if ctx != t.Context() {
			t.Errorf("%s: a span was begun", name)
		}
		end(nil)
		if err := stop(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if spans, bad := c.Spans(); len(spans)+len(bad) > 0 {
		t.Errorf("sent %v, %v", spans, bad)
	}
	if n := testing.AllocsPerRun(100, func() {
		_, end := tracing.Span(context.Background(), "ingest.take")
		end(nil)
	}); n > 0 {
		t.Errorf("%v allocations a span while off", n)
	}
}

func TestSettings(t *testing.T) {
	for name, env := range map[string][]string{
		"gRPC":             {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
		"another exporter": {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER", "zipkin"},
	} {
		environment(t, env...)
		if _, err := tracing.Start(t.Context(), "x", "", log); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A collector that is away holds nothing up.
func TestCollectorAway(t *testing.T) {
	environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE", "16")
	stop, err := tracing.Start(t.Context(), "x", "", log)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		steps(t.Context())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stop(ctx); err == nil {
		t.Error("it says that all was sent")
	}
}
