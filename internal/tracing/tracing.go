// Package tracing tells an OpenTelemetry collector how long the steps of the
// centre take. It is off unless the standard environment names an endpoint
// (OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT), speaks OTLP
// over HTTP, and follows OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_SAMPLER, OTEL_BSP_… and OTEL_EXPORTER_OTLP_… as the specification has
// them (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
//
// A span can carry nothing but its name, counts and an error's code: what has no
// place for words can leak nobody's.
package tracing

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/coldkeep/coldkeep"
)

// name is that of the instrumentation, the same for all spans.
const name = "github.com/coldkeep/coldkeep"

// tracer is nil while tracing is off.
var tracer atomic.Pointer[trace.Tracer]

// Start turns tracing on when the environment asks for it. stop sends what is left;
// it is never nil. service is the name of this process unless OTEL_SERVICE_NAME is
// set. A protocol that is not OTLP over HTTP with protobuf, or an exporter of
// another kind, is EINVALID.
func Start(ctx context.Context, service, version string, log *slog.Logger) (stop func(context.Context) error, err error) {
	stop = func(context.Context) error { return nil }
	if !asked() {
		return stop, nil
	}
	switch kind := os.Getenv("OTEL_TRACES_EXPORTER"); kind {
	case "", "otlp":
	default:
		return stop, coldkeep.Errorf(coldkeep.EINVALID, "OTEL_TRACES_EXPORTER=%s: want otlp or none", kind)
	}
	for _, v := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := os.Getenv(v); p == "http/protobuf" {
			break
		} else if p != "" {
			return stop, coldkeep.Errorf(coldkeep.EINVALID, "%s=%s: want http/protobuf", v, p)
		}
	}
	// The exporter tries again by itself; what it cannot send in time is dropped, and
	// nothing waits for it.
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return stop, coldkeep.Wrap(err, coldkeep.EINVALID, "tracing.Start", "the OTEL_EXPORTER_OTLP_… settings cannot be used")
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return stop, coldkeep.Wrap(err, coldkeep.EINVALID, "tracing.Start", "OTEL_RESOURCE_ATTRIBUTES cannot be read")
	}
	quiet := &errorLog{log: log}
	otel.SetErrorHandler(quiet)
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	t := provider.Tracer(name, trace.WithInstrumentationVersion(version))
	tracer.Store(&t)
	log.Info("traces are sent to an OpenTelemetry collector")
	return func(ctx context.Context) error {
		tracer.Store(nil)
		return coldkeep.Wrap(provider.Shutdown(ctx), coldkeep.EUNAVAILABLE, "tracing.stop", "the last traces could not be sent")
	}, nil
}

// asked reports whether the environment asks for traces.
func asked() bool {
	return !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") && os.Getenv("OTEL_TRACES_EXPORTER") != "none" &&
		(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "")
}

// errorLog says at most once a minute that traces do not get through.
type errorLog struct {
	log  *slog.Logger
	last atomic.Int64 // seconds
}

// Handle implements otel.ErrorHandler.
func (e *errorLog) Handle(err error) {
	now := time.Now().Unix()
	if last := e.last.Load(); now-last >= 60 && e.last.CompareAndSwap(last, now) {
		e.log.Warn("traces cannot be sent", "error", err)
	}
}

// Count is something that a span counts, such as readings.
type Count struct {
	Name string
	N    int
}

// Span begins a step. end ends it; an error is told by its code alone. While
// tracing is off it costs one atomic load.
//
//	ctx, end := tracing.Span(ctx, "ingest.store", tracing.Count{"readings", len(rs)})
//	err := store.Append(ctx, rs)
//	end(err)
func Span(ctx context.Context, step string, counts ...Count) (_ context.Context, end func(error)) {
	t := tracer.Load()
	if t == nil {
		return ctx, off
	}
	ctx, span := (*t).Start(ctx, step)
	for _, c := range counts {
		span.SetAttributes(attribute.Int("coldkeep."+c.Name, c.N))
	}
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, coldkeep.ErrorCode(err))
		}
		span.End()
	}
}

func off(error) {}
