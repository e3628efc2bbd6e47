package guide

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// Profile is which answer it is, MSH-21.
type Profile string

// The answers of the guide. In 2.3.1 they become ACK^V04, VXX^V02 (Candidates), VXR^V03
// (History, Evaluated) and QCK^Q02.
const (
	Acknowledgment Profile = "Z23"
	Candidates     Profile = "Z31"
	History        Profile = "Z32"
	None           Profile = "Z33"
	Evaluated      Profile = "Z42"
)

// QueryStatus is QAK-2, HL7 table 0208.
type QueryStatus string

// The statuses of a query.
const (
	OK       QueryStatus = "OK"
	NotFound QueryStatus = "NF"
	Bad      QueryStatus = "AE" // what was asked cannot be read
	Denied   QueryStatus = "AR"
	TooMany  QueryStatus = "TM"
)

// Responder frames answers. Its fields are asked for each.
type Responder struct {
	// Self is the registry: MSH-3, MSH-4 and MSH-22 where the request names none.
	Application, Facility Authority
	Organization          string
	Now                   func() time.Time
	NewID                 func() string // a new MSH-10, such as a ULID
}

// Ack is the acknowledgement of a message (profile Z23, or ACK^V04 of 2.3.1): MSH, MSA
// and an ERR a finding. An outcome of "" is what the message and the findings add up to.
func (a *Responder) Ack(r *Result, outcome Outcome, findings []Finding) *er7.Builder {
	b := er7.NewBuilder()
	event := "V04"
	if r.Asked {
		event = "Q11"
	}
	kind := []string{"ACK", event, "ACK"}
	if r.version == "2.3.1" {
		kind = kind[:2]
	}
	a.head(b, r, kind, Acknowledgment)
	a.say(b, r, outcome, findings, maxFindings)
	return b
}

// Response is the frame of an answer to a query: MSH, MSA, the worst finding in an ERR, QAK
// and QPD as it came (2.3.1: QRD and QRF). Who answers appends PID and what follows, or,
// with None, nothing. An outcome of "" is what the message and the findings add up to.
func (a *Responder) Response(r *Result, profile Profile, status QueryStatus, outcome Outcome, findings []Finding) *er7.Builder {
	b := er7.NewBuilder()
	old := r.version == "2.3.1"
	kind := []string{"RSP", "K11", "RSP_K11"}
	if old {
		kind = map[Profile][]string{Candidates: {"VXX", "V02"}, History: {"VXR", "V03"}, Evaluated: {"VXR", "V03"}, None: {"QCK", "Q02"}}[profile]
	}
	a.head(b, r, kind, profile)
	a.say(b, r, outcome, findings, 1)
	if !old || profile == None {
		q := b.Segment("QAK")
		if len(r.Echo) > 0 {
			n := 2
			if old {
				n = 4
			}
			q.Copy(1, r.Echo[0].Field(n))
			if !old {
				q.Copy(3, r.Echo[0].Field(1))
			}
		}
		q.Set(2, string(status))
	}
	for _, s := range r.Echo {
		b.Copy(s)
	}
	return b
}

// head writes MSH.
func (a *Responder) head(b *er7.Builder, r *Result, kind []string, profile Profile) {
	h := &r.Header
	from := func(asked, own Authority) []string {
		if asked == (Authority{}) {
			asked = own
		}
		return []string{asked.Namespace, asked.Universal, asked.Kind}
	}
	m := b.Segment("MSH").
		Set(3, from(h.ReceivingApplication, a.Application)...).Set(4, from(h.ReceivingFacility, a.Facility)...).
		Set(5, from(h.SendingApplication, Authority{})...).Set(6, from(h.SendingFacility, Authority{})...).
		Set(7, a.Now().Format("20060102150405-0700")).
		Set(9, kind...).Set(10, a.NewID()).Set(11, orElse(processing(h.Processing), "P")).Set(12, orElse(r.version, "2.5.1"))
	if r.version == "2.3.1" {
		return
	}
	m.Set(15, "NE").Set(16, "NE").Set(21, string(profile), "CDCPHINVS")
	m.Set(22, orElse(h.ReceivingOrganization.Name, a.Organization)).Set(23, h.SendingOrganization.Name)
}

func processing(s string) string {
	if s == "P" || s == "T" || s == "D" {
		return s
	}
	return ""
}

// say writes MSA and ERR, the worst findings first when not all fit.
func (a *Responder) say(b *er7.Builder, r *Result, outcome Outcome, findings []Finding, most int) {
	if outcome == "" {
		if outcome = r.Outcome; outcome == AA {
			outcome = OutcomeOf(findings)
		}
	}
	msa := b.Segment("MSA").Set(1, string(outcome)).Set(2, r.Header.ControlID)
	told := Worst(findings, most)
	if r.version != "2.3.1" {
		for i := range told {
			errorSegment(b, &told[i])
		}
		return
	}
	if len(told) == 0 {
		return
	}
	msa.Set(3, short(told[0].Text, 80))
	e := b.Segment("ERR")
	for i := range told {
		f := &told[i]
		if f.Severity == Error || outcome == AA {
			e.Add(1, f.Segment, count(f.Seq), count(f.Field)).SetSubs(1, 4, f.Code, short(f.Text, 80), "HL70357")
		}
	}
}

// errorSegment writes an ERR of 2.5.1.
func errorSegment(b *er7.Builder, f *Finding) {
	e := b.Segment("ERR")
	if f.Segment != "" {
		e.Set(2, strings.Split(f.Location.String(), "^")...)
	}
	e.Set(3, f.Code, conditions[f.Code], "HL70357").Set(4, string(f.Severity))
	if f.AppCode != "" {
		e.Set(5, f.AppCode, details[f.AppCode], "HL70533")
	}
	e.Set(8, short(f.Text, 250)) // ERR-8 has 250 characters
}

// Worst gives the worst findings, at most so many, those of one severity in their order.
func Worst(findings []Finding, most int) []Finding {
	var out []Finding
	for _, s := range []Severity{Error, Warning, Information} {
		for i := range findings {
			if findings[i].Severity == s && len(out) < most {
				out = append(out, findings[i])
			}
		}
	}
	return out
}

// short cuts a text at a number of characters.
func short(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// count is a number, "" for none.
func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
