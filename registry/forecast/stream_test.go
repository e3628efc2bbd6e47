package forecast

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	coldkeep "github.com/coldkeep/coldkeep"
)

const aPatient = `{"id":"%d","dob":"2025-09-06","gender":"F","assessment_date":"2025-11-10","observations":[],` +
	`"doses":[{"date":"2025-11-06","cvx":"107","mvx":"","condition":false}]}` + "\n"

// TestStreamKeepsOrder holds that many workers answer in the order of the input.
func TestStreamKeepsOrder(t *testing.T) {
	var in, out bytes.Buffer
	const n = 3000
	for i := range n {
		fmt.Fprintf(&in, aPatient, i)
	}
	err := Stream(t.Context(), &in, &out, Builtin(), 4, false)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != n {
		t.Fatalf("%d answers to %d patients", len(lines), n)
	}
	for i, l := range lines {
		if !strings.HasPrefix(l, fmt.Sprintf(`{"id":"%d","doses":[{"date":"2025-11-06","cvx":"107","evaluations":[{"vaccine_group":"DTaP/Tdap/Td"`, i)) {
			t.Fatalf("line %d is %s", i, l)
		}
	}
}

// TestStreamGoesOn holds the contract: a bad line gives an error in its place.
func TestStreamGoesOn(t *testing.T) {
	good := strings.TrimSuffix(fmt.Sprintf(aPatient, 7), "\n")
	rows := []struct{ in, want string }{
		{good, `{"id":"7","doses":`},
		{`{"id":"a","dob":`, `{"id":null,"error":"the line cannot be read`},
		{`{"id":"b","dob":12}`, `{"id":"b","error":"the line cannot be read`},
		{`{"id":"c","dob":"2025-02-30","assessment_date":"2025-11-10"}`, `{"id":"c","error":"dob: \"2025-02-30\" is not a date"}`},
		{`{"id":"d","dob":"2025-02-03"}`, `{"id":"d","error":"assessment_date`},
		{`{"id":"e","dob":"2025-02-03","assessment_date":"2025-02-01"}`, `{"id":"e","error":"assessment_date is before dob"}`},
		{`{"id":"f","dob":"2025-02-03","assessment_date":"2025-11-10","gender":"X"}`, `{"id":"f","error":"gender`},
		{`{"id":"g","dob":"2025-02-03","assessment_date":"2025-11-10","doses":[{"cvx":"03"}]}`, `{"id":"g","error":"the date of dose 1`},
		{`{"id":8,"dob":"2025-02-03","assessment_date":"2025-11-10"}`, `{"id":8,"doses":[],"forecasts":[`},
		{`{"id":"h","dob":"2025-02-03","assessment_date":"2025-11-10","doses":[{"date":"2025-10-01","cvx":"no \"such\""}]}`,
			`{"id":"h","doses":[{"date":"2025-10-01","cvx":"no \"such\"","evaluations":[]}]`},
		{`{"id":"i","dob":"2025-02-03","assessment_date":"2025-11-10","observations":[{"code":"014","presence":"maybe"}]}`, `{"id":"i","error":"the presence of observation 1`},
		{`{"id":"j","dob":"2025-02-03","assessment_date":"2025-11-10","observations":[{"code":"014","presence":"unknown"}]}`, `{"id":"j","doses":[],"forecasts":[`},
		{good, `{"id":"7","doses":`},
	}
	var in, out bytes.Buffer
	for _, r := range rows {
		in.WriteString(r.in + "\n\n") // empty lines are passed over
	}
	err := Stream(t.Context(), iotest.OneByteReader(&in), &out, Builtin(), 2, false)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(rows) {
		t.Fatalf("%d answers to %d lines:\n%s", len(lines), len(rows), out.String())
	}
	for i, r := range rows {
		if !strings.HasPrefix(lines[i], r.want) {
			t.Errorf("%s\ngave %s\nwant %s", r.in, lines[i], r.want)
		}
		if !json.Valid([]byte(lines[i])) {
			t.Errorf("not JSON: %s", lines[i])
		}
	}
}

// TestStreamWithoutLastNewline holds that the last line needs no newline, and
// that a line may be longer than the reader's buffer.
func TestStreamWithoutLastNewline(t *testing.T) {
	long := `{"id":"` + strings.Repeat("x", 3*batchSize) + `","dob":"2025-02-03","assessment_date":"2025-11-10"}`
	var out bytes.Buffer
	err := Stream(t.Context(), strings.NewReader(long), &out, Builtin(), 1, false)
	if err != nil || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), `"forecasts":[`) {
		t.Errorf("%v: %d bytes", err, out.Len())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestStreamEnds holds that failing input, failing output and a cancelled
// context each end the stream with their error.
func TestStreamEnds(t *testing.T) {
	err := Stream(t.Context(), iotest.ErrReader(errors.New("gone")), new(bytes.Buffer), Builtin(), 2, false)
	if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("reading failed and gave %v", err)
	}
	err = Stream(t.Context(), strings.NewReader(strings.Repeat(fmt.Sprintf(aPatient, 1), 5000)), brokenPipe{}, Builtin(), 2, false)
	if coldkeep.ErrorCode(err) != coldkeep.EUNAVAILABLE {
		t.Errorf("writing failed and gave %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = Stream(ctx, strings.NewReader(fmt.Sprintf(aPatient, 1)), new(bytes.Buffer), Builtin(), 2, false)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gave %v", err)
	}
}

// TestLineShape holds the shape of the contract, key by key.
func TestLineShape(t *testing.T) {
	out := New(Builtin()).Line([]byte(fmt.Sprintf(aPatient, 1)))
	var got struct {
		ID        string                       `json:"id"`
		Doses     []map[string]json.RawMessage `json:"doses"`
		Forecasts []map[string]json.RawMessage `json:"forecasts"`
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	keys := func(m map[string]json.RawMessage, want ...string) {
		t.Helper()
		for _, k := range want {
			if _, ok := m[k]; !ok {
				t.Errorf("%s is missing", k)
			}
		}
		if len(m) != len(want) {
			t.Errorf("want %v, got %d keys", want, len(m))
		}
	}
	keys(got.Doses[0], "date", "cvx", "evaluations")
	keys(got.Forecasts[0], "vaccine_group", "series_type", "status", "dose_number", "earliest", "recommended",
		"past_due", "latest", "cvx", "reason")
}

// TestExplain holds that explaining changes no answer and that every dose and
// forecast has its decisions, each with a rule and words.
func TestExplain(t *testing.T) {
	e := New(Builtin())
	p := child()
	p.Observations = []Observation{{Code: "160", Date: None}}
	fast, told := e.Forecast(p), e.Explain(p)
	if !sameForecasts(fast.Forecasts, told.Forecasts) {
		t.Error("explaining changed a forecast")
	}
	check := func(what string, ds []Decision) {
		t.Helper()
		if len(ds) == 0 {
			t.Errorf("%s is not explained", what)
		}
		for _, d := range ds {
			if d.Rule == "" || d.Says == "" {
				t.Errorf("%s: %+v", what, d)
			}
		}
	}
	for _, d := range told.Doses {
		for _, ev := range d.Evaluations {
			check(ev.Antigen, ev.Decisions)
		}
	}
	for _, f := range told.Forecasts {
		check(f.Group, f.Decisions)
	}
	for _, f := range fast.Forecasts {
		if f.Decisions != nil {
			t.Error("the fast path explained")
		}
	}
	if out := e.AppendLine(nil, []byte(fmt.Sprintf(aPatient, 1)), true); !json.Valid(out) {
		t.Errorf("not JSON: %s", out)
	}
}

// TestDecoderAgrees holds that the fast reader reads what encoding/json reads,
// or leaves the line to it.
func TestDecoderAgrees(t *testing.T) {
	fast := 0
	rows := []string{
		strings.TrimSpace(fmt.Sprintf(aPatient, 1)),
		` { "doses" : [ ] , "id" : "x" , "dob" : "2020-02-29" , "assessment_date" : "2021-01-01" , "observations" : null } `,
		`{"id":"x","dob":"2020-02-29","assessment_date":"2021-01-01","observations":[{"code":"007","date":null},{"code":"8"}],"doses":null,"gender":"M"}`,
		`{"id":"x","id":"y","dob":"2020-02-29","assessment_date":"2021-01-01"}`,
		`{"id":"x","dob":"2020-02-29","assessment_date":"2021-01-01",}`,
		`{"id":"x","dob":"2020-02-29","assessment_date":"2021-01-01"}}`,
		`{,"id":"x","dob":"2020-02-29","assessment_date":"2021-01-01"}`,
		`{"id":"x" "dob":"2020-02-29","assessment_date":"2021-01-01"}`,
		`{"id":"\u0041","DOB":"2020-02-29","assessment_date":"2021-01-01","more":{"a":[1,2]}}`,
		`{"id":"x","dob":"2020-02-29","assessment_date":"2021-01-01","doses":[{"date":"2020-05-01","cvx":"08"},]}`,
		`{"id":"x","dob":"2020-02-29","assessment_date":"2021-01-01","doses":[{"date":"2020-05-01","cvx":"08","condition":true,"lot_expiry":"2020-04"}]}`,
		`{"id":"x","dob":"2020-02-29","assessment_date":"2021-01-01","doses":[{"date":"2020-05-01","cvx":"08","condition":"yes"}]}`,
		`{"id":"x","dob":"2020-02-29","assessment_date":"2021-01-01","gender":"f"}`,
	}
	for _, row := range rows {
		var d decoder
		var a, b Patient
		id, ok := d.line([]byte(row), &a)
		if !ok {
			continue
		}
		fast++
		want, err := parseLine([]byte(row), &b)
		if err != nil || string(id) != string(want) || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s\nis read as  %s %+v\nand by json %s %+v, %v", row, id, a, want, b, err)
		}
	}
	if fast != 3 {
		t.Errorf("%d rows were read fast, want 3", fast)
	}
}

// FuzzDecoder holds the same on any bytes.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(aPatient, 1)))
	f.Fuzz(func(t *testing.T, line []byte) {
		var d decoder
		var a, b Patient
		id, ok := d.line(line, &a)
		if !ok {
			return
		}
		want, err := parseLine(line, &b)
		if err != nil || string(id) != string(want) || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatalf("%q\nis read as  %s %+v\nand by json %s %+v, %v", line, id, a, want, b, err)
		}
	})
}

// TestManyDoses holds that the longest history a line may carry is answered in
// reasonable time, and a longer one is refused.
func TestManyDoses(t *testing.T) {
	e := New(Builtin())
	line := func(n int) []byte {
		doses := strings.Repeat(`{"date":"2020-01-01","cvx":"94"},`, n)
		return []byte(`{"id":"1","dob":"2000-01-01","assessment_date":"2025-11-10","doses":[` + strings.TrimSuffix(doses, ",") + `]}`)
	}
	if out := e.Line(line(maxDoses)); !bytes.Contains(out, []byte(`"forecasts":[`)) {
		t.Errorf("%d doses gave %.200s", maxDoses, out)
	}
	if out := e.Line(line(maxDoses + 1)); !bytes.Contains(out, []byte(`"error":"more than 1000 doses`)) {
		t.Errorf("%d doses gave %.200s", maxDoses+1, out)
	}
}
