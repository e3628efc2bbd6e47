package audit

import (
	"encoding/csv"
	"strconv"
	"strings"
	"time"
)

// Line is an entry as a program reads it.
type Line struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	WhoID   string    `json:"who_id"`
	Who     string    `json:"who"`
	What    string    `json:"what"`
	Subject string    `json:"subject"`
	Patient string    `json:"patient,omitempty"`
	Site    string    `json:"site,omitempty"`
	Why     string    `json:"why,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Address string    `json:"address,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Session string    `json:"session,omitempty"`
	Lane    int       `json:"lane"`
	Seq     int64     `json:"seq"`
	Hash    string    `json:"hash"`
}

// Line is the entry as a program reads it.
func (e Entry) Line() Line {
	return Line{e.ID, e.At.UTC(), e.WhoID, e.Who, e.What, e.Subject, e.Patient, string(e.Site), e.Why, e.Detail, e.Address, e.Agent, e.Session, e.Lane, e.Seq, e.Hash}
}

// Rows writes entries one after the other.
type Rows struct {
	Head func() error
	Row  func(Entry) error
	End  func() error
}

// NewCSV writes entries as CSV with a heading.
func NewCSV(w *csv.Writer) Rows {
	return Rows{
		Head: func() error {
			return w.Write([]string{"id", "at", "who_id", "who", "what", "subject", "patient", "site", "why", "detail", "address", "agent", "session", "lane", "seq", "hash"})
		},
		Row: func(e Entry) error {
			cells := []string{e.ID, e.At.UTC().Format(time.RFC3339Nano), e.WhoID, e.Who, e.What, e.Subject, e.Patient, string(e.Site), e.Why, e.Detail, e.Address, e.Agent, e.Session,
				strconv.Itoa(e.Lane), strconv.FormatInt(e.Seq, 10), e.Hash}
			for i, v := range cells {
				// A cell that begins like a formula is run by spreadsheets (OWASP, CSV
				// injection), and names and reasons are what people have typed.
				if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) && i != 13 {
					cells[i] = "'" + v
				}
			}
			return w.Write(cells)
		},
		End: func() error { w.Flush(); return w.Error() },
	}
}
