package soap_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/hl7/door"
	"github.com/coldkeep/coldkeep/registry/hl7/soap"
)

// clerk is a door that knows one sender and acknowledges what is one message.
type clerk struct{ password string }

const ack = "MSH|^~\\&|COLDKEEP|||X68|20260101000000+0000||ACK^V04^ACK|1|P|2.5.1\rMSA|AA|NIST-IZ-007.00\r"

func (c clerk) Submit(_ context.Context, r soap.Request) (string, error) {
	if c.password != "" && r.Password != c.password {
		return "", coldkeep.Errorf(coldkeep.EUNAUTHORIZED, "The account or its token is not known.")
	}
	switch err := door.One(r.Message); err {
	case nil:
		return ack, nil
	case door.ErrMany:
		return "", &soap.Fault{Kind: soap.MessageTooLarge, Code: soap.CodeMany, Detail: err.Error()}
	default:
		return "", err
	}
}

// answer is an answer as a client reads it.
type answer struct {
	status int
	media  string
	body   string
	env    struct {
		XMLName xml.Name
		Body    struct {
			Connectivity *struct {
				Return string `xml:"return"`
			} `xml:"urn:cdc:iisb:2011 connectivityTestResponse"`
			Submit *struct {
				Return string `xml:"return"`
			} `xml:"urn:cdc:iisb:2011 submitSingleMessageResponse"`
			Fault *struct {
				Value  string `xml:"Code>Value"`
				Text   string `xml:"Reason>Text"`
				Code11 string `xml:"faultcode"`
				Detail struct {
					Unknown     *detail `xml:"urn:cdc:iisb:2011 fault"`
					Unsupported *detail `xml:"urn:cdc:iisb:2011 UnsupportedOperationFault"`
					Security    *detail `xml:"urn:cdc:iisb:2011 SecurityFault"`
					TooLarge    *detail `xml:"urn:cdc:iisb:2011 MessageTooLargeFault"`
				} `xml:"Detail"`
				Detail11 struct {
					Security *detail `xml:"urn:cdc:iisb:2011 SecurityFault"`
				} `xml:"detail"`
			} `xml:"Fault"`
		}
	}
}

type detail struct {
	Code   int    `xml:"urn:cdc:iisb:2011 Code"`
	Reason string `xml:"urn:cdc:iisb:2011 Reason"`
	Detail string `xml:"urn:cdc:iisb:2011 Detail"`
}

// class is what kind of answer it is, after it was checked against the WSDL.
func (a *answer) class(t *testing.T) string {
	t.Helper()
	b := a.env.Body
	switch {
	case b.Connectivity != nil:
		return "echo"
	case b.Submit != nil:
		return "answer"
	case b.Fault == nil:
		return "nothing"
	}
	f := b.Fault
	if a.status != http.StatusInternalServerError {
		t.Errorf("a fault with status %d", a.status)
	}
	if f.Value != "soap:Receiver" && f.Detail.Unknown == nil {
		t.Errorf("Code is %q", f.Value)
	}
	for _, k := range []struct {
		d             *detail
		class, reason string
	}{{f.Detail.Unsupported, "unsupported", "UnsupportedOperation"}, {f.Detail.Security, "security", "Security"}, {f.Detail.TooLarge, "large", "MessageTooLarge"}, {f.Detail.Unknown, "fault", ""}} {
		if k.d == nil {
			continue
		}
		if k.d.Code == 0 || k.d.Detail == "" || f.Text == "" || k.reason != "" && k.d.Reason != k.reason || k.d.Reason == "" {
			t.Errorf("a %s fault: %+v, text %q", k.class, *k.d, f.Text)
		}
		return k.class
	}
	return "no detail"
}

func ask(t *testing.T, s *soap.Service, media, body string) *answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/soap/iis", strings.NewReader(body))
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	a := &answer{status: w.Code, media: w.Header().Get("Content-Type"), body: w.Body.String()}
	if strings.HasPrefix(a.body, "<?xml") {
		if err := xml.Unmarshal(w.Body.Bytes(), &a.env); err != nil {
			t.Fatalf("the answer is no XML: %v\n%s", err, a.body)
		}
	}
	return a
}

func service(password string) *soap.Service {
	return &soap.Service{Door: clerk{password}, Limit: 2 << 20, Log: slog.New(slog.DiscardHandler)}
}

const action = `application/soap+xml; charset=utf-8; action="urn:cdc:iisb:2011:submitSingleMessage"`

func envelope(ns, body string) string {
	return `<e:Envelope xmlns:e="` + ns + `" xmlns:u="urn:cdc:iisb:2011"><e:Body>` + body + `</e:Body></e:Envelope>`
}

const (
	v12 = "http://www.w3.org/2003/05/soap-envelope"
	v11 = "http://schemas.xmlsoap.org/soap/envelope/"
)

func submit(message string) string {
	return envelope(v12, `<u:submitSingleMessage><u:username>a</u:username><u:password>right</u:password><u:facilityID>f</u:facilityID><u:hl7Message>`+message+`</u:hl7Message></u:submitSingleMessage>`)
}

// samples are NIST's, beside the checkout.
func samples(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "soap", "nist-hit-iz-tool", "samples")
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("NIST's samples are not there: %v", err)
		}
		t.Skipf("NIST's samples are not there: %v", err)
	}
	return dir
}

// classOf is what is to be answered to a file of NIST's samples. Their descriptions are no
// XML; what a receiver sends is no operation that one can ask for.
func classOf(path string) string {
	name := filepath.Base(path)
	switch {
	case filepath.Ext(name) == ".txt":
		return "fault"
	case name == "Response.xml", strings.Contains(path, "hit-iz-web"), strings.Contains(path, filepath.Join("Envelope", "receiver")), strings.Contains(path, "Min_Test"):
		return "unsupported"
	case strings.Contains(path, "receiver") && name == "Message.xml":
		return "unsupported"
	case strings.Contains(path, "UnsupportedOp"):
		return "unsupported"
	case strings.Contains(path, "MessageSizeFault"):
		return "large"
	case strings.Contains(path, "AuthenticationFault"):
		return "security"
	case strings.Contains(path, "SubmitSingleMessage"):
		return "answer"
	case strings.Contains(path, "Connectivity"):
		return "echo"
	}
	return "?"
}

func TestNISTSamples(t *testing.T) {
	dir := samples(t)
	counts := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		want, password := classOf(rel), ""
		if want == "security" {
			password = "another"
		}
		t.Run(strings.ReplaceAll(rel, string(filepath.Separator), "_"), func(t *testing.T) {
			a := ask(t, service(password), action, string(body))
			if got := a.class(t); got != want {
				t.Errorf("%s, want %s:\n%s", got, want, a.body)
			}
			if want == "echo" && !strings.Contains(a.env.Body.Connectivity.Return, "Hello world!") {
				t.Errorf("the echo does not have what was sent: %q", a.env.Body.Connectivity.Return)
			}
			if want == "answer" && a.env.Body.Submit.Return != ack {
				t.Errorf("the answer has changed on its way: %q", a.env.Body.Submit.Return)
			}
		})
		counts[want]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != 82 || counts["answer"] != 3 || counts["echo"] != 4 || counts["large"] != 1 || counts["security"] != 1 {
		t.Errorf("%d samples: %v", total, counts)
	}
}

// shape lists the elements of a document with their namespaces, without what is optional.
func shape(t *testing.T, doc []byte) []string {
	t.Helper()
	var out []string
	for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
		tok, err := d.Token()
		if tok == nil {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local != "Header" {
			out = append(out, e.Name.Space+" "+e.Name.Local)
		}
	}
}

// Our faults have the elements of NIST's, in their order.
func TestFaultsHaveTheShapeOfNISTs(t *testing.T) {
	dir := samples(t)
	for folder, kind := range map[string]soap.Kind{"SOAPENV_3_MessageTooLarge_Fault": soap.MessageTooLarge, "SOAPENV_4_Security_Fault": soap.Security, "SOAPENV_5_UnsupportedOperation_Fault": soap.UnsupportedOperation, "SOAPENV_6_Unknown_Fault": soap.Unknown} {
		doc, err := os.ReadFile(filepath.Join(dir, "Envelope", "receiver", folder, "Message.xml"))
		if err != nil {
			t.Fatal(err)
		}
		f := soap.Fault{Kind: kind, Code: 7, Detail: "Why"}
		if got, want := shape(t, f.Bytes(soap.V12)), shape(t, doc); !slices.Equal(got, want) {
			t.Errorf("%s: %v\nNIST's: %v", kind, got, want)
		}
	}
}

const message = `MSH|^~\&amp;|A|B|C|D|20260101000000-0600||VXU^V04^VXU_V04|1|P|2.5.1&#xD;PID|1||4^^^A^MR&#xD;`

func TestLenientReading(t *testing.T) {
	for _, c := range []struct{ what, media, body, want string }{
		{"as the WSDL has it", action, submit(message), "answer"},
		{"no content type", "", submit(message), "answer"},
		{"broken parameters", `application/soap+xml; action=urn:cdc:iisb:2011:submit;;`, submit(message), "answer"},
		{"text/xml", "text/xml; charset=utf-8", submit(message), "answer"},
		{"line feeds", action, submit("MSH|^~\\&amp;|A\nPID|1\n"), "answer"},
		{"CDATA", action, submit("<![CDATA[MSH|^~\\&|A\r\nPID|1\r\n]]>"), "answer"},
		{"unqualified parts", action, strings.NewReplacer("u:user", "user", "u:pass", "pass", "u:fac", "fac", "u:hl7", "hl7").Replace(submit(message)), "answer"},
		{"parts that are not known", action, envelope(v12, `<u:submitSingleMessage><u:hl7Message>`+message+`</u:hl7Message><u:more><u:deep/></u:more></u:submitSingleMessage>`), "answer"},
		{"WS-Addressing", action, strings.Replace(submit(message), "<e:Body>", `<e:Header><a:Action xmlns:a="http://www.w3.org/2005/08/addressing" e:mustUnderstand="1">x</a:Action></e:Header><e:Body>`, 1), "answer"},
		{"Latin-1", action, `<?xml version="1.0" encoding="ISO-8859-1"?>` + submit("MSH|^~\\&amp;|Mu\xf1oz"), "answer"},
		{"a comment", action, "<!-- hello -->" + submit(message), "answer"},
		{"no message", action, submit(" "), "fault"},
		{"message without text", action, envelope(v12, `<u:submitSingleMessage/>`), "fault"},
		{"not HL7", action, submit("hello"), "fault"},
		{"two messages", action, submit(message + message), "large"},
		{"two elements of messages", action, envelope(v12, `<u:submitSingleMessage><u:hl7Message>`+message+`</u:hl7Message><u:hl7Message>`+message+`</u:hl7Message></u:submitSingleMessage>`), "large"},
		{"two user names", action, envelope(v12, `<u:submitSingleMessage><u:username>a</u:username><u:username>b</u:username><u:hl7Message>`+message+`</u:hl7Message></u:submitSingleMessage>`), "fault"},
		{"two operations", action, envelope(v12, `<u:connectivityTest/><u:submitSingleMessage/>`), "fault"},
		{"another's namespace", action, strings.ReplaceAll(submit(message), "2011", "2014"), "unsupported"},
		{"an operation of no namespace", action, envelope(v12, `<submitSingleMessage/>`), "unsupported"},
		{"empty body", action, envelope(v12, ``), "fault"},
		{"no body", action, `<e:Envelope xmlns:e="` + v12 + `"/>`, "fault"},
		{"no envelope", action, `<a/>`, "fault"},
		{"another envelope", action, envelope("urn:soap", ``), "fault"},
		{"must understand", action, strings.Replace(submit(message), "<e:Body>", `<e:Header><s:Security xmlns:s="urn:s" e:mustUnderstand="true"/></e:Header><e:Body>`, 1), "fault"},
		{"empty", action, "", "fault"},
		{"cut off", action, submit(message)[:300], "fault"},
		{"cut off after the message", action, strings.TrimSuffix(submit(message), "</e:Envelope>"), "fault"},
		{"not UTF-8", action, submit("MSH|^~\\&amp;|Mu\xf1oz"), "fault"},
		{"UTF-16", action, `<?xml version="1.0" encoding="utf-16"?>` + submit(message), "fault"},
	} {
		if got := ask(t, service(""), c.media, c.body).class(t); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	if a := ask(t, service(""), `multipart/related; boundary="x"`, "--x"); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("attachments: %d", a.status)
	}
}

// Who sends SOAP 1.1 is answered in it.
func TestSOAP11(t *testing.T) {
	a := ask(t, service(""), "text/xml", strings.Replace(submit(message), v12, v11, 1))
	if a.class(t) != "answer" || a.env.XMLName.Space != v11 || a.media != "text/xml; charset=utf-8" {
		t.Errorf("%s %s\n%s", a.env.XMLName.Space, a.media, a.body)
	}
	a = ask(t, service("another"), "text/xml", strings.Replace(submit(message), v12, v11, 1))
	f := a.env.Body.Fault
	if f == nil || f.Code11 != "soap:Server" || f.Detail11.Security == nil || f.Detail11.Security.Reason != "Security" {
		t.Errorf("a fault of 1.1:\n%s", a.body)
	}
}

// Nothing that is not in the envelope is read, nothing unfolds, and nothing that was sent is
// told again.
func TestHostileXML(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("TOPSECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	laughs := `<!DOCTYPE l [<!ENTITY a "ha">`
	for i := range 20 {
		laughs += `<!ENTITY ` + string(rune('b'+i)) + ` "&` + string(rune('a'+i)) + `;&` + string(rune('a'+i)) + `;">`
	}
	for what, body := range map[string]string{
		"external entity":      `<!DOCTYPE x [<!ENTITY f SYSTEM "file://` + secret + `">]>` + submit("MSH|^~\\&amp;|&f;"),
		"parameter entity":     `<!DOCTYPE x [<!ENTITY % f SYSTEM "http://127.0.0.1:1/x.dtd">%f;]>` + submit(message),
		"entities in entities": laughs + "]>" + submit("&u;"),
		"document type alone":  `<!DOCTYPE x SYSTEM "file://` + secret + `">` + submit(message),
		"entity without one":   submit("MSH|&nothing;"),
		"stylesheet":           `<?xml-stylesheet href="file://` + secret + `"?>` + submit(message),
		"deep":                 envelope(v12, `<u:connectivityTest>`+strings.Repeat("<a>", 100_000)),
		"deep header":          strings.Replace(submit(message), "<e:Body>", "<e:Header>"+strings.Repeat("<a>", 1000)+strings.Repeat("</a>", 1000)+"</e:Header><e:Body>", 1),
		"many headers":         strings.Replace(submit(message), "<e:Body>", "<e:Header>"+strings.Repeat("<a/>", 1000)+"</e:Header><e:Body>", 1),
		"broken":               `<e:Envelope xmlns:e="` + v12 + `"><SECRETNAME></e:Envelope>`,
	} {
		a := ask(t, service(""), action, body)
		if a.class(t) != "fault" {
			t.Errorf("%s: %s", what, a.body)
		}
		if strings.Contains(a.body, "SECRET") || len(a.body) > 2000 {
			t.Errorf("%s: answers %.300s", what, a.body)
		}
	}
	s := service("")
	s.Limit = 10_000
	if a := ask(t, s, action, submit("MSH|^~\\&amp;|"+strings.Repeat("x", 20_000))); a.class(t) != "large" {
		t.Errorf("oversized: %s", a.body)
	}
}

// The names, actions and types of CDC's WSDL are ours, so that a client made from it fits.
func TestWSDL(t *testing.T) {
	doc := soap.WSDL("https://coldkeep.example/soap/iis?a=1&b=2")
	var d struct {
		Target   string `xml:"targetNamespace,attr"`
		Elements []struct {
			Name string `xml:"name,attr"`
		} `xml:"types>schema>element"`
		Ports []struct {
			Name       string `xml:"name,attr"`
			Operations []struct {
				Name  string `xml:"name,attr"`
				Input struct {
					Action string `xml:"http://www.w3.org/2005/08/addressing Action,attr"`
				} `xml:"input"`
				Faults []struct {
					Name string `xml:"name,attr"`
				} `xml:"fault"`
			} `xml:"operation"`
		} `xml:"portType"`
		Binding struct {
			Name string `xml:"name,attr"`
		} `xml:"binding"`
		Service struct {
			Name    string `xml:"name,attr"`
			Address struct {
				Location string `xml:"location,attr"`
			} `xml:"port>address"`
		} `xml:"service"`
	}
	if err := xml.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	if d.Target != soap.Namespace || d.Binding.Name != "client_Binding_Soap12" || d.Service.Name != "client_Service" || d.Service.Address.Location != "https://coldkeep.example/soap/iis?a=1&b=2" || len(d.Elements) != 8 {
		t.Errorf("%+v", d)
	}
	ops := d.Ports[0].Operations
	if d.Ports[0].Name != "IIS_PortType" || len(ops) != 2 || ops[1].Input.Action != "urn:cdc:iisb:2011:submitSingleMessage" || len(ops[0].Faults) != 2 || len(ops[1].Faults) != 3 {
		t.Errorf("%+v", d.Ports)
	}
	theirs, err := os.ReadFile(filepath.Join(samples(t), "..", "cdc.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, attr := range []string{"name", "element", "message", "type", "soapAction", "fixed"} {
		if got, want := values(t, doc, attr), values(t, theirs, attr); !slices.Equal(got, want) {
			t.Errorf("values of %s: %v\nCDC's: %v", attr, got, want)
		}
	}
}

// values are those of an attribute in a document, without prefixes, sorted and each once.
func values(t *testing.T, doc []byte, attr string) []string {
	t.Helper()
	var out []string
	for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
		tok, err := d.Token()
		if tok == nil {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := tok.(xml.StartElement)
		if !ok || e.Name.Local == "definitions" {
			continue
		}
		for _, a := range e.Attr {
			if a.Name.Local == attr {
				out = append(out, a.Value[strings.LastIndex(a.Value, ":")+1:])
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{submit(message), envelope(v11, `<u:connectivityTest><u:echoBack>a</u:echoBack></u:connectivityTest>`), `<!DOCTYPE x [<!ENTITY a "b">]><a>&a;</a>`, `<?xml version="1.0" encoding="latin1"?><a/>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, fault := soap.Read(bytes.NewReader(body))
		if fault == nil && req.Operation != soap.ConnectivityTest && req.Message == "" {
			t.Fatalf("%+v without a fault", req)
		}
		var out []byte
		if fault != nil {
			out = fault.Bytes(req.Version)
		} else {
			out = soap.Response(req.Version, req.Operation, req.EchoBack+req.Message)
		}
		var env struct {
			Body struct {
				Inner string `xml:",innerxml"`
			}
		}
		if err := xml.Unmarshal(out, &env); err != nil {
			t.Fatalf("the answer is no XML: %v\n%q", err, out)
		}
		if fault != nil {
			return
		}
		var back struct {
			Return string `xml:"Body>Response>return"`
		}
		doc := bytes.ReplaceAll(out, []byte(string(req.Operation)+"Response"), []byte("Response"))
		if err := xml.Unmarshal(doc, &back); err != nil || back.Return != req.EchoBack+req.Message {
			t.Fatalf("%q came back as %q (%v)", req.EchoBack+req.Message, back.Return, err)
		}
	})
}
