package soap

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// maxDepth bounds how deep elements may stand in each other. An envelope has five levels;
// headers of WS-Security have some more.
const maxDepth = 24

// maxHeaders bounds the blocks of a header that are looked at.
const maxHeaders = 64

func itoa(n int) string { return strconv.Itoa(n) }

func bad(code int, detail string) *Fault { return &Fault{Kind: Unknown, Code: code, Detail: detail} }

// Read reads an envelope. What is not one is a fault, and the version to answer in is
// given as far as it could be told. A document type, entities of its own and processing
// instructions are refused (SOAP 1.2 part 1, section 5), so that nothing that is not in the
// envelope is ever read or unfolded.
func Read(r io.Reader) (Request, *Fault) {
	d := &reader{dec: xml.NewDecoder(r)}
	d.dec.CharsetReader = charset
	req, err := d.envelope()
	if err == nil {
		return req, nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return req, f
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return req, &Fault{Kind: MessageTooLarge, Code: CodeTooLarge, Detail: "The request is larger than " + strconv.FormatInt(large.Limit, 10) + " bytes."}
	}
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		// The decoder's own words may quote what was sent.
		return req, bad(CodeXML, "The request is not well-formed XML, at line "+itoa(syntax.Line)+".")
	}
	return req, bad(CodeXML, "The request could not be read as XML.")
}

func charset(name string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "us-ascii", "ascii":
		return in, nil
	case "iso-8859-1", "latin1":
		return charmap.ISO8859_1.NewDecoder().Reader(in), nil
	case "windows-1252", "cp1252":
		return charmap.Windows1252.NewDecoder().Reader(in), nil
	}
	return nil, bad(CodeXML, "The XML declares an encoding that is not read here; send UTF-8.")
}

type reader struct {
	dec   *xml.Decoder
	depth int
}

// next gives the next token that says something.
func (d *reader) next() (xml.Token, error) {
	for {
		t, err := d.dec.Token()
		if err != nil {
			return nil, err
		}
		switch x := t.(type) {
		case xml.Directive:
			return nil, bad(CodeXML, "The request has a document type, which is not taken.")
		case xml.ProcInst:
			if x.Target != "xml" {
				return nil, bad(CodeXML, "The request has a processing instruction, which is not taken.")
			}
		case xml.StartElement:
			if d.depth++; d.depth > maxDepth {
				return nil, bad(CodeXML, "The request has elements more than "+itoa(maxDepth)+" deep.")
			}
			return x, nil
		case xml.EndElement:
			d.depth--
			return x, nil
		case xml.CharData:
			return x, nil
		}
	}
}

// element gives the next element's start, or its parent's end.
func (d *reader) element() (start xml.StartElement, end bool, err error) {
	for {
		t, err := d.next()
		if err != nil {
			return start, false, err
		}
		switch x := t.(type) {
		case xml.StartElement:
			return x, false, nil
		case xml.EndElement:
			return start, true, nil
		}
	}
}

// skip reads to the end of the element that has begun.
func (d *reader) skip() error {
	for level := d.depth; d.depth >= level; {
		if _, err := d.next(); err != nil {
			return err
		}
	}
	return nil
}

// text reads what an element says, with that of elements in it.
func (d *reader) text() (string, error) {
	var b strings.Builder
	for level := d.depth; ; {
		t, err := d.next()
		if err != nil {
			return "", err
		}
		if x, ok := t.(xml.CharData); ok {
			b.Write(x)
		}
		if d.depth < level {
			return b.String(), nil
		}
	}
}

func (d *reader) envelope() (Request, error) {
	var req Request
	root, _, err := d.element()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return req, bad(CodeXML, "The request is empty.")
		}
		return req, err
	}
	switch {
	case root.Name.Local != "Envelope":
		return req, bad(CodeEnvelope, "The request is no SOAP envelope.")
	case root.Name.Space == envelope12:
	case root.Name.Space == envelope11:
		req.Version = V11
	default:
		return req, &Fault{Kind: Unknown, Code: CodeEnvelope, Detail: "The envelope is of no version of SOAP that is read here (1.2 and 1.1).", value: "VersionMismatch"}
	}
	noBody := bad(CodeEnvelope, "The envelope has no body.")
	for {
		e, end, err := d.element()
		if err != nil {
			return req, err
		}
		if end {
			return req, noBody
		}
		switch {
		case e.Name.Space != root.Name.Space:
			err = d.skip()
		case e.Name.Local == "Header":
			err = d.header(root.Name.Space)
		case e.Name.Local == "Body":
			return req, d.body(&req)
		default:
			err = d.skip()
		}
		if err != nil {
			return req, err
		}
	}
}

// header passes over the blocks of a header. One that must be understood and is not is a
// fault (SOAP 1.2 part 1, section 5.4.8); those of WS-Addressing, which .NET sends so,
// change nothing here.
func (d *reader) header(soap string) error {
	for range maxHeaders {
		e, end, err := d.element()
		if err != nil || end {
			return err
		}
		for _, a := range e.Attr {
			if a.Name.Local == "mustUnderstand" && a.Name.Space == soap && (a.Value == "1" || a.Value == "true") && e.Name.Space != addressing {
				return &Fault{Kind: Unknown, Code: CodeHeader, Detail: "The header has a block that must be understood, and none but those of WS-Addressing is.", value: "MustUnderstand"}
			}
		}
		if err := d.skip(); err != nil {
			return err
		}
	}
	return bad(CodeEnvelope, "The header has more than "+itoa(maxHeaders)+" blocks.")
}

func (d *reader) body(req *Request) error {
	op, end, err := d.element()
	if err != nil {
		return err
	}
	if end {
		return bad(CodeEnvelope, "The body is empty.")
	}
	req.Operation = Operation(op.Name.Local)
	if op.Name.Space != Namespace || req.Operation != ConnectivityTest && req.Operation != SubmitSingleMessage {
		req.Operation = ""
		return &Fault{Kind: UnsupportedOperation, Code: CodeUnsupported, Detail: "Only connectivityTest and submitSingleMessage of " + Namespace + " are supported."}
	}
	if err := d.parts(req); err != nil {
		return err
	}
	if _, end, err = d.element(); err != nil {
		return err
	}
	if !end {
		return bad(CodeEnvelope, "The body has more than one element.")
	}
	return d.rest()
}

// rest reads what follows the body, so that what is cut off is not taken for whole.
func (d *reader) rest() error {
	for d.depth > 0 {
		if _, err := d.next(); err != nil {
			return err
		}
	}
	return nil
}

func (d *reader) parts(req *Request) error {
	seen := map[string]bool{}
	for {
		e, end, err := d.element()
		if err != nil {
			return err
		}
		if end {
			break
		}
		name := e.Name.Local
		to := map[string]*string{"username": &req.Username, "password": &req.Password, "facilityID": &req.FacilityID, "hl7Message": &req.Message}[name]
		if req.Operation == ConnectivityTest {
			to = map[string]*string{"echoBack": &req.EchoBack}[name]
		}
		if to == nil {
			if err := d.skip(); err != nil {
				return err
			}
			continue
		}
		if seen[name] && name == "hl7Message" {
			return &Fault{Kind: MessageTooLarge, Code: CodeMany, Detail: "More than one HL7 message was sent. Send one at a time."}
		}
		if seen[name] {
			return bad(CodeEnvelope, "The element "+name+" is there twice.")
		}
		seen[name] = true
		if *to, err = d.text(); err != nil {
			return err
		}
	}
	if req.Operation == SubmitSingleMessage && strings.TrimSpace(req.Message) == "" {
		return bad(CodeNoMessage, "The element hl7Message is missing or empty.")
	}
	return nil
}
