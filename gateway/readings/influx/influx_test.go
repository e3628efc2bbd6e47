package influx_test

import (
	"os"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/readings"
	"github.com/coldkeep/coldkeep/gateway/readings/influx"
	"github.com/coldkeep/coldkeep/gateway/readings/readingstest"
)

// open connects to the server of COLDKEEP_TEST_INFLUX_URL: the test command
// starts an InfluxDB 1.8, and _TOKEN, _ORG and _BUCKET may name a 2.x.
func open(t testing.TB, flux bool) *influx.Store {
	url := os.Getenv("COLDKEEP_TEST_INFLUX_URL")
	if url == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("COLDKEEP_TEST_INFLUX_URL is not set")
		}
		t.Skip("no InfluxDB: COLDKEEP_TEST_INFLUX_URL is not set (the test command in the README sets it)")
	}
	s, err := influx.Open(influx.Config{URL: url, Token: os.Getenv("COLDKEEP_TEST_INFLUX_TOKEN"),
		Org: os.Getenv("COLDKEEP_TEST_INFLUX_ORG"), Bucket: os.Getenv("COLDKEEP_TEST_INFLUX_BUCKET"), Flux: flux})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Both languages pass the same suite.
func TestContract(t *testing.T) {
	for name, flux := range map[string]bool{"influxql": false, "flux": true} {
		t.Run(name, func(t *testing.T) {
			if flux && testing.Short() {
				t.Skip("Flux takes a minute")
			}
			readingstest.Run(t, func(t *testing.T) readings.Store { return open(t, flux) })
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for name, flux := range map[string]bool{"InfluxQL": false, "Flux": true} {
		b.Run(name, func(b *testing.B) { readingstest.Bench(b, open(b, flux)) })
	}
}

func TestServerAway(t *testing.T) {
	s, err := influx.Open(influx.Config{URL: "http://127.0.0.1:1", Bucket: "coldkeep/autogen"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, err := range map[string]error{
		"append": s.Append(t.Context(), []coldkeep.Reading{{Series: coldkeep.Series{Site: "s", Agent: "a", Probe: "p"}, Epoch: "e", Seq: 1}}),
		"ping":   s.Ping(t.Context()),
	} {
		if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := influx.Open(influx.Config{URL: "influx.local:8086"}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Errorf("URL without a scheme: %v", err)
	}
}
