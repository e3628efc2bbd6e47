// Package vaccine is the code sets of vaccines: CVX and MVX codes, trade names, NDCs,
// vaccine groups and Vaccine Information Statements. They are data: the ones that come
// with the program are made by the tool in gen from CDC's published sets, and newer
// ones can be read at run time from the same files (package published).
package vaccine

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/coldkeep/coldkeep"
)

// Sets are the published code sets, as the compact form keeps them.
type Sets struct {
	Newest     coldkeep.Date `json:"newest"` // of the rows of the CVX set
	Vaccines   []Vaccine     `json:"vaccines"`
	Makers     []Maker       `json:"makers"`
	Products   []Product     `json:"products"`
	Packages   []Package     `json:"packages"`
	Statements []Statement   `json:"statements"`
}

// Vaccine is a CVX code.
type Vaccine struct {
	CVX    string   `json:"c"` // two or three digits
	Name   string   `json:"n"`
	Status Status   `json:"s"`
	Groups []string `json:"g,omitempty"` // CDC's vaccine groups, such as "DTAP"; several for a combination
}

// Status is whether a vaccine is given in the United States today.
type Status string

// The statuses of CDC's CVX set.
const (
	Active      Status = "Active"
	Inactive    Status = "Inactive" // no longer given; in records of the past
	NonUS       Status = "Non-US"
	NeverActive Status = "Never Active"
)

// Maker is an MVX code.
type Maker struct {
	MVX    string `json:"m"`
	Name   string `json:"n"`
	Active bool   `json:"a,omitempty"`
}

// Product is a trade name with its codes.
type Product struct {
	Name   string `json:"n"`
	CVX    string `json:"c"`
	MVX    string `json:"m"`
	Active bool   `json:"a,omitempty"`
}

// Package is an NDC: of the box that is sold, or of what one dose is drawn from.
type Package struct {
	NDC   string        `json:"k"`           // 5-4-2 with dashes
	Use   bool          `json:"u,omitempty"` // unit of use; otherwise unit of sale
	Name  string        `json:"n"`
	CVX   string        `json:"c"`
	MVX   string        `json:"m,omitempty"` // "" when the sets do not say
	Route string        `json:"r,omitempty"` // HL7 table 0162; "" when the sets do not say
	GTIN  string        `json:"g,omitempty"` // 14 digits
	From  coldkeep.Date `json:"f,omitzero"`
	Until coldkeep.Date `json:"t,omitzero"` // the zero Date: on the market
}

// Statement is an edition of a Vaccine Information Statement.
type Statement struct {
	Code    string        `json:"k"` // the 24 digits of its barcode
	Name    string        `json:"n"`
	Edition coldkeep.Date `json:"d"`
	Current bool          `json:"a,omitempty"`
	CVX     []string      `json:"c"` // the vaccines it is for
}

// Codes answers questions about the code sets. It never changes once it is made.
type Codes struct {
	sets       Sets
	byCVX      map[string]*Vaccine
	byMVX      map[string]*Maker
	byNDC      map[string]*Package
	byGTIN     map[string]*Package
	statements map[string][]*Statement // by CVX, current ones first
	products   map[string][]*Product   // by CVX
}

// New makes Codes of sets. EINVALID when they are not whole: a code set that is empty, or
// a row without a code.
func New(s Sets) (*Codes, error) {
	if len(s.Vaccines) == 0 || len(s.Makers) == 0 || len(s.Products) == 0 || len(s.Packages) == 0 || len(s.Statements) == 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "code sets: %d CVX, %d MVX, %d trade names, %d NDC, %d VIS: none may be empty",
			len(s.Vaccines), len(s.Makers), len(s.Products), len(s.Packages), len(s.Statements))
	}
	c := &Codes{sets: s, byCVX: map[string]*Vaccine{}, byMVX: map[string]*Maker{}, byNDC: map[string]*Package{}, byGTIN: map[string]*Package{},
		statements: map[string][]*Statement{}, products: map[string][]*Product{}}
	for i := range s.Vaccines {
		v := &s.Vaccines[i]
		if v.CVX == "" {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "code sets: CVX %d has no code", i+1)
		}
		c.byCVX[v.CVX] = v
	}
	for i := range s.Makers {
		c.byMVX[s.Makers[i].MVX] = &s.Makers[i]
	}
	for i := range s.Packages {
		p := &s.Packages[i]
		if other := c.byNDC[p.NDC]; other == nil || p.Use && !other.Use {
			c.byNDC[p.NDC] = p
		}
		if p.GTIN != "" {
			c.byGTIN[p.GTIN] = p
		}
	}
	for i := range s.Statements {
		for _, cvx := range s.Statements[i].CVX {
			c.statements[cvx] = append(c.statements[cvx], &s.Statements[i])
		}
	}
	for _, l := range c.statements {
		slices.SortStableFunc(l, func(a, b *Statement) int {
			if a.Current != b.Current {
				if a.Current {
					return -1
				}
				return 1
			}
			return cmp.Compare(b.Edition, a.Edition)
		})
	}
	for i := range s.Products {
		p := &s.Products[i]
		c.products[p.CVX] = append(c.products[p.CVX], p)
	}
	return c, nil
}

//go:generate go run ./gen -codes $CODE_SETS -out builtin.json.gz

//go:embed builtin.json.gz
var builtin []byte

// Builtin gives the code sets that come with the program, read on first use.
func Builtin() *Codes { return builtinOnce() }

var builtinOnce = sync.OnceValue(func() *Codes {
	z, err := gzip.NewReader(bytes.NewReader(builtin))
	var s Sets
	if err == nil {
		err = json.NewDecoder(z).Decode(&s)
	}
	var c *Codes
	if err == nil {
		c, err = New(s)
	}
	if err != nil {
		panic("the built-in code sets cannot be read: " + err.Error())
	}
	return c
})

// Newest is the date of the newest row of the CVX set.
func (c *Codes) Newest() coldkeep.Date { return c.sets.Newest }

// CVX finds a vaccine; a missing leading zero does not matter.
func (c *Codes) CVX(code string) (Vaccine, bool) {
	code = strings.TrimSpace(code)
	if len(code) == 1 {
		code = "0" + code
	}
	v, ok := c.byCVX[code]
	if !ok {
		return Vaccine{CVX: code}, false
	}
	return *v, true
}

// Name is the short name of a vaccine, or "CVX" and the code when it is not known.
func (c *Codes) Name(cvx string) string {
	if v, ok := c.CVX(cvx); ok {
		return v.Name
	}
	return "CVX " + cvx
}

// MVX finds a manufacturer.
func (c *Codes) MVX(code string) (Maker, bool) {
	m, ok := c.byMVX[strings.ToUpper(strings.TrimSpace(code))]
	if !ok {
		return Maker{}, false
	}
	return *m, true
}

// Vaccines lists the CVX codes in the order of their names; only those in use when
// active is asked for.
func (c *Codes) Vaccines(active bool) []Vaccine {
	var out []Vaccine
	for _, v := range c.sets.Vaccines {
		if !active || v.Status == Active {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b Vaccine) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.CVX, b.CVX))
	})
	return out
}

// Products lists the trade names of a vaccine, those on the market first.
func (c *Codes) Products(cvx string) []Product {
	var out []Product
	for _, active := range []bool{true, false} {
		for _, p := range c.products[cvx] {
			if p.Active == active {
				out = append(out, *p)
			}
		}
	}
	return out
}

// Statements lists the VIS editions for a vaccine, the current ones first, then from the
// newest to the oldest.
func (c *Codes) Statements(cvx string) []Statement {
	out := make([]Statement, len(c.statements[cvx]))
	for i, s := range c.statements[cvx] {
		out[i] = *s
	}
	return out
}

// CurrentStatements lists the VIS editions to hand out with a vaccine today.
func (c *Codes) CurrentStatements(cvx string) []Statement {
	var out []Statement
	for _, s := range c.statements[cvx] {
		if s.Current {
			out = append(out, *s)
		}
	}
	return out
}

// Statement finds an edition by the 24 digits of its code.
func (c *Codes) Statement(code string) (Statement, bool) {
	for i := range c.sets.Statements {
		if c.sets.Statements[i].Code == code {
			return c.sets.Statements[i], true
		}
	}
	return Statement{}, false
}

// AllStatements lists every VIS edition of the code sets.
func (c *Codes) AllStatements() []Statement { return slices.Clone(c.sets.Statements) }
