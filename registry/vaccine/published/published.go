// Package published reads the code sets as CDC publishes them, from a folder with
// cvx.xml, mvx.xml, vac2vg.xml, tradename.xml, cvxvis.xml, NDC_Unit_use.txt,
// NDC_Unit_sale.txt and NDC_Linker.txt. It keeps codes, names, dates and flags; notes and
// descriptions are left behind.
package published

import (
	"encoding/xml"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html/charset"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

// maxFile bounds one file: the largest that is published has half a megabyte.
const maxFile = 32 << 20

// Read reads the code sets at the top of fsys. EINVALID when a file is missing or
// malformed; the message names it.
func Read(fsys fs.FS) (vaccine.Sets, error) {
	var s vaccine.Sets
	for _, step := range []func(fs.FS, *vaccine.Sets) error{readCVX, readGroups, readMVX, readProducts, readStatements, readPackages} {
		if err := step(fsys, &s); err != nil {
			return s, err
		}
	}
	_, err := vaccine.New(s)
	return s, err
}

func open(fsys fs.FS, name string) (io.Reader, func(), error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, coldkeep.Wrap(err, coldkeep.EINVALID, "published.Read", "code sets: %s cannot be opened", name)
	}
	return io.LimitReader(f, maxFile), func() { _ = f.Close() }, nil
}

func readXML(fsys fs.FS, name string, into any) error {
	f, done, err := open(fsys, name)
	if err != nil {
		return err
	}
	defer done()
	dec := xml.NewDecoder(f)
	dec.CharsetReader = charset.NewReaderLabel
	return coldkeep.Wrap(dec.Decode(into), coldkeep.EINVALID, "published.Read", "code sets: %s cannot be read", name)
}

// pairs is a row published as Name and Value elements in turn.
type pairs struct {
	Names  []string `xml:"Name"`
	Values []string `xml:"Value"`
}

func (p pairs) get(name string) string {
	if i := slices.Index(p.Names, name); i >= 0 && i < len(p.Values) {
		return strings.TrimSpace(p.Values[i])
	}
	return ""
}

func readCVX(fsys fs.FS, s *vaccine.Sets) error {
	var in struct {
		Rows []struct {
			Name    string `xml:"ShortDescription"`
			CVX     string `xml:"CVXCode"`
			Status  string `xml:"Status"`
			Updated string `xml:"LastUpdated"`
		} `xml:"CVXInfo"`
	}
	if err := readXML(fsys, "cvx.xml", &in); err != nil {
		return err
	}
	for _, r := range in.Rows {
		cvx := strings.TrimSpace(r.CVX)
		if cvx == "" {
			continue
		}
		s.Newest = max(s.Newest, american(r.Updated))
		s.Vaccines = append(s.Vaccines, vaccine.Vaccine{CVX: cvx, Name: spaced(r.Name), Status: vaccine.Status(strings.TrimSpace(r.Status))})
	}
	return nil
}

func readGroups(fsys fs.FS, s *vaccine.Sets) error {
	var in struct {
		Rows []pairs `xml:"CVXVGInfo"`
	}
	if err := readXML(fsys, "vac2vg.xml", &in); err != nil {
		return err
	}
	groups := map[string][]string{}
	for _, r := range in.Rows {
		cvx, group := r.get("CVXCode"), r.get("Vaccine Group Name")
		if group != "" && !slices.Contains(groups[cvx], group) {
			groups[cvx] = append(groups[cvx], group)
		}
	}
	for i := range s.Vaccines {
		s.Vaccines[i].Groups = groups[s.Vaccines[i].CVX]
	}
	return nil
}

func readMVX(fsys fs.FS, s *vaccine.Sets) error {
	var in struct {
		Rows []pairs `xml:"MVXInfo"`
	}
	if err := readXML(fsys, "mvx.xml", &in); err != nil {
		return err
	}
	for _, r := range in.Rows {
		if m := r.get("MVX_CODE"); m != "" {
			s.Makers = append(s.Makers, vaccine.Maker{MVX: m, Name: spaced(r.get("Manufacturer Name")), Active: r.get("Status") == "Active"})
		}
	}
	return nil
}

func readProducts(fsys fs.FS, s *vaccine.Sets) error {
	var in struct {
		Rows []pairs `xml:"prodInfo"`
	}
	if err := readXML(fsys, "tradename.xml", &in); err != nil {
		return err
	}
	for _, r := range in.Rows {
		if name := spaced(r.get("CDC Product Name")); name != "" {
			s.Products = append(s.Products, vaccine.Product{Name: name, CVX: r.get("CVXCode"), MVX: r.get("MVX Code"), Active: r.get("Product name Status") == "Active"})
		}
	}
	return nil
}

func readStatements(fsys fs.FS, s *vaccine.Sets) error {
	var in struct {
		Rows []struct {
			CVX     string `xml:"CVXCode"`
			Code    string `xml:"Fully-encodedString"`
			Name    string `xml:"VISDocumentName"`
			Edition string `xml:"VISEditionDate"`
			Status  string `xml:"Status"`
		} `xml:"CVXVISMapping"`
	}
	if err := readXML(fsys, "cvxvis.xml", &in); err != nil {
		return err
	}
	at := map[string]int{}
	for _, r := range in.Rows {
		code, cvx := strings.TrimSpace(r.Code), strings.TrimSpace(r.CVX)
		edition := american(r.Edition)
		if cvx == "" || !edition.Known() {
			continue
		}
		key := code + "\x00" + spaced(r.Name) + "\x00" + edition.String()
		i, ok := at[key]
		if !ok {
			i = len(s.Statements)
			at[key] = i
			s.Statements = append(s.Statements, vaccine.Statement{Code: code, Name: spaced(r.Name), Edition: edition})
		}
		st := &s.Statements[i]
		st.Current = st.Current || strings.TrimSpace(r.Status) == "Current"
		if !slices.Contains(st.CVX, cvx) {
			st.CVX = append(st.CVX, cvx)
		}
	}
	return nil
}

// readPackages reads the NDC files: rows of fields between bars, without a heading.
func readPackages(fsys fs.FS, s *vaccine.Sets) error {
	makers, sale, err := readLinks(fsys)
	if err != nil {
		return err
	}
	routes := map[string]string{} // by row of the units of sale
	for _, f := range []struct {
		name                        string
		use                         bool
		fields, cvx, ndc, gtin, way int
	}{
		{"NDC_Unit_sale.txt", false, 16, 12, 14, 15, 10},
		{"NDC_Unit_use.txt", true, 17, 11, 14, 10, -1},
	} {
		rows, err := barred(fsys, f.name, f.fields)
		if err != nil {
			return err
		}
		for _, r := range rows {
			forms := vaccine.NDCForms(r[f.ndc])
			if len(forms) != 1 || r[f.cvx] == "" {
				continue
			}
			p := vaccine.Package{NDC: forms[0], Use: f.use, Name: r[4], CVX: r[f.cvx], GTIN: r[f.gtin], From: compact(r[7]), Until: compact(r[8]),
				MVX: makers[key{f.use, r[0]}]}
			if f.way >= 0 {
				p.Route = route(r[f.way])
				routes[r[0]] = p.Route
			} else {
				p.Route = routes[sale[r[0]]]
			}
			s.Packages = append(s.Packages, p)
		}
	}
	return nil
}

type key struct {
	use bool
	id  string
}

// readLinks reads which manufacturer a row of either NDC file is of, and which unit of
// sale a unit of use comes in.
func readLinks(fsys fs.FS) (makers map[key]string, sale map[string]string, err error) {
	rows, err := barred(fsys, "NDC_Linker.txt", 4)
	if err != nil {
		return nil, nil, err
	}
	makers, sale = map[key]string{}, map[string]string{}
	for _, r := range rows {
		makers[key{false, r[1]}], makers[key{true, r[2]}] = r[3], r[3]
		sale[r[2]] = r[1]
	}
	return makers, sale, nil
}

func barred(fsys fs.FS, name string, fields int) ([][]string, error) {
	f, done, err := open(fsys, name)
	if err != nil {
		return nil, err
	}
	defer done()
	text, err := charset.NewReaderLabel("windows-1252", f)
	var b []byte
	if err == nil {
		b, err = io.ReadAll(text)
	}
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINVALID, "published.Read", "code sets: %s cannot be read", name)
	}
	var out [][]string
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		r := strings.Split(line, "|")
		if len(r) != fields {
			return nil, coldkeep.Errorf(coldkeep.EINVALID, "code sets: %s, line %d: has %d fields, want %d", name, n, len(r), fields)
		}
		for i := range r {
			r[i] = spaced(r[i])
		}
		out = append(out, r)
	}
	return out, nil
}

// route is the HL7 code (table 0162) of a route in words; "" for one that says several.
func route(words string) string {
	w := strings.ToUpper(words)
	switch {
	case strings.Contains(w, ";"):
		return ""
	case strings.HasPrefix(w, "INTRAMUSCULAR"), w == "IM":
		return "IM"
	case strings.HasPrefix(w, "SUBCUTANEOUS"):
		return "SC"
	case strings.HasPrefix(w, "INTRADERMAL"):
		return "ID"
	case strings.Contains(w, "NASAL"):
		return "NS"
	case strings.HasPrefix(w, "ORAL"):
		return "PO"
	case strings.HasPrefix(w, "PERCUTANEOUS"):
		return "TD"
	}
	return ""
}

func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }

// american reads M/D/YYYY; anything else is no date.
func american(s string) coldkeep.Date {
	p := strings.Split(strings.TrimSpace(s), "/")
	if len(p) != 3 {
		return 0
	}
	return coldkeep.NewDate(whole(p[2]), whole(p[0]), whole(p[1]))
}

// compact reads YYYYMMDD; anything else is no date.
func compact(s string) coldkeep.Date {
	if len(s) != 8 {
		return 0
	}
	return coldkeep.NewDate(whole(s[:4]), whole(s[4:6]), whole(s[6:]))
}

func whole(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}
