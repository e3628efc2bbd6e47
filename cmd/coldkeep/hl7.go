package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry"
	"github.com/coldkeep/coldkeep/registry/hl7/er7"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
)

type hl7Cmd struct {
	Check hl7CheckCmd `cmd:"" help:"Judge HL7 messages as the registry would, and store nothing; prints JSON Lines."`
}

type hl7CheckCmd struct {
	codesFlags
	Details bool     `help:"Add to each error where exactly it is and which rule found it."`
	Files   []string `arg:"" name:"file" help:"Files of messages, alone, one after another or in batches; - is standard input."`
}

// checkedMessage is a line of the output.
type checkedMessage struct {
	File      string         `json:"file"`
	N         int            `json:"n"` // the message in its file, from 1
	Type      string         `json:"type"`
	Version   string         `json:"version"`
	Profile   string         `json:"profile"`
	ControlID string         `json:"control_id"`
	Outcome   guide.Outcome  `json:"outcome"`
	Errors    []checkedError `json:"errors"`
	Patient   checkedPatient `json:"patient"`
	Doses     int            `json:"doses"` // that would be stored, updated or deleted
}

type checkedError struct {
	Severity guide.Severity `json:"severity"`
	Segment  string         `json:"segment"`
	Field    string         `json:"field"` // "" for the whole segment
	Code     string         `json:"code"`
	Text     string         `json:"text"`

	// With --details only.
	Location string `json:"location,omitempty"` // as ERR-2 has it
	AppCode  string `json:"app_code,omitempty"` // HL7 table 0533
	Rule     string `json:"rule,omitempty"`
}

// checkedPatient is what is read of the patient; empty when the message is rejected.
type checkedPatient struct {
	Identifiers []checkedID `json:"identifiers,omitempty"`
	Family      string      `json:"family,omitempty"`
	Given       string      `json:"given,omitempty"`
	Middle      string      `json:"middle,omitempty"`
	BirthDate   string      `json:"birth_date,omitempty"`
	Sex         string      `json:"sex,omitempty"`
}

type checkedID struct {
	ID        string `json:"id"`
	Authority string `json:"authority,omitempty"`
	Type      string `json:"type,omitempty"`
}

// Run judges the files. It ends with no when the registry would not say AA to each
// message, and could not run when a file could not be read to its end; the others are
// judged all the same.
func (h *hl7CheckCmd) Run(ctx context.Context, std streams, log *slog.Logger) error {
	var cfg registry.Config
	if err := h.load(&cfg, log); err != nil {
		return err
	}
	c := &hl7Check{
		checker: &guide.Checker{Codes: cfg.Codes, Today: coldkeep.DateOf(time.Now())},
		out:     json.NewEncoder(std.out), err: std.err, details: h.Details,
	}
	c.out.SetEscapeHTML(false)
	show := newProgress(std.err, "checking")
	defer show.done()
	unread := 0
	for _, name := range h.Files {
		err := c.file(ctx, name, std.in, show)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.failed != nil {
			return coldkeep.Wrap(c.failed, coldkeep.EUNAVAILABLE, "hl7 check", "standard output")
		}
		if err != nil {
			fmt.Fprintln(std.err, "coldkeep:", words(err))
			unread++
		}
	}
	switch {
	case unread > 0:
		return coldkeep.Errorf(coldkeep.EUNAVAILABLE, "%d of %d files could not be read", unread, len(h.Files))
	case c.no:
		return errNo
	}
	return nil
}

// hl7Check judges messages and prints what came out.
type hl7Check struct {
	checker *guide.Checker
	out     *json.Encoder
	err     io.Writer
	details bool
	no      bool
	failed  error // of the output
}

func (c *hl7Check) file(ctx context.Context, name string, stdin io.Reader, show *progress) error {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "hl7 check", "%s cannot be opened", name)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			show.total(info.Size())
		}
		in = f
	}
	messages := 0
	for it, err := range er7.Split(show.reader(in)) {
		switch {
		case ctx.Err() != nil || c.failed != nil:
			return nil
		case err != nil && coldkeep.ErrorCode(err) != coldkeep.EINVALID:
			return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "hl7 check", "%s", name)
		case it.Kind == "MSH":
			messages++
			c.message(name, it, err)
		case err != nil:
			c.no = true
			fmt.Fprintf(c.err, "coldkeep: %s: %s\n", name, coldkeep.ErrorMessage(err))
		}
		for _, n := range it.Notes {
			fmt.Fprintf(c.err, "coldkeep: %s: line %d: %s\n", name, n.Line, n.Text)
		}
	}
	if messages == 0 {
		c.no = true
		fmt.Fprintf(c.err, "coldkeep: %s: there is no HL7 message in it\n", name)
	}
	return nil
}

// message prints the line of one. What is no HL7 message at all would get no answer in
// HL7; here it is told as refused.
func (c *hl7Check) message(file string, it er7.Item, err error) {
	line := checkedMessage{File: file, N: it.N, Outcome: guide.AR, Errors: []checkedError{}}
	var m *er7.Message
	if err == nil {
		m, err = er7.Parse(it.Text)
	}
	if err != nil {
		line.Errors = append(line.Errors, checkedError{Severity: guide.Error, Segment: "MSH", Code: guide.SegmentSequence, Text: coldkeep.ErrorMessage(err)})
	} else {
		c.judge(&line, m)
	}
	c.no = c.no || line.Outcome != guide.AA
	if c.failed == nil {
		c.failed = c.out.Encode(&line)
	}
}

func (c *hl7Check) judge(line *checkedMessage, m *er7.Message) {
	r := c.checker.Check(m)
	h := &r.Header
	line.Type, line.Version, line.Profile, line.ControlID, line.Outcome = h.Type, h.Version, h.Profile, h.ControlID, r.Outcome
	if h.Event != "" {
		line.Type += "^" + h.Event
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		e := checkedError{Severity: f.Severity, Segment: f.Segment, Code: f.Code, Text: f.Text}
		if f.Field > 0 {
			e.Field = strconv.Itoa(f.Field)
		}
		if c.details {
			e.Location, e.AppCode, e.Rule = f.Location.String(), f.AppCode, f.Rule
		}
		line.Errors = append(line.Errors, e)
	}
	switch {
	case r.Update != nil:
		line.Patient = patientOf(&r.Update.Patient)
		for i := range r.Update.Orders {
			if k := r.Update.Orders[i].Kind; k != guide.Refused && k != guide.Nothing {
				line.Doses++
			}
		}
	case r.Query != nil:
		line.Patient = patientOf(&r.Query.Person)
	}
}

func patientOf(p *guide.Patient) checkedPatient {
	out := checkedPatient{BirthDate: p.Birth.String(), Sex: p.Sex}
	if len(p.Names) > 0 {
		out.Family, out.Given, out.Middle = p.Names[0].Family, p.Names[0].Given, p.Names[0].Middle
	}
	for _, id := range p.Identifiers {
		authority := id.Authority.Namespace
		if authority == "" {
			authority = id.Authority.Universal
		}
		out.Identifiers = append(out.Identifiers, checkedID{ID: id.Value, Authority: authority, Type: id.Kind})
	}
	return out
}
