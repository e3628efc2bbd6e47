// Package soap is the web service that CDC has defined for immunization information
// systems (WSDL of 2011, urn:cdc:iisb:2011): a test of the connection, and one HL7
// message in and one out. Answers are as the WSDL has them to the letter; what is read is
// read leniently, since clients send SOAP 1.1, text/xml and line feeds as well.
package soap

import (
	"context"
	"encoding/xml"
	"strings"
)

// The namespaces.
const (
	Namespace  = "urn:cdc:iisb:2011"
	envelope12 = "http://www.w3.org/2003/05/soap-envelope"
	envelope11 = "http://schemas.xmlsoap.org/soap/envelope/"
	addressing = "http://www.w3.org/2005/08/addressing"
	xmlPrefix  = "http://www.w3.org/XML/1998/namespace"
)

// Version is a version of SOAP.
type Version int

// The versions. The WSDL asks for 1.2; who sends 1.1 is answered in it.
const (
	V12 Version = iota
	V11
)

// MediaType is the Content-Type of an answer.
func (v Version) MediaType() string {
	if v == V11 {
		return "text/xml; charset=utf-8"
	}
	return "application/soap+xml; charset=utf-8"
}

// Operation is what a request asks for: the name of the element in its body.
type Operation string

// The operations of the WSDL.
const (
	ConnectivityTest    Operation = "connectivityTest"
	SubmitSingleMessage Operation = "submitSingleMessage"
)

// Request is what was sent.
type Request struct {
	Version    Version
	Operation  Operation
	EchoBack   string // of a connectivityTest
	Username   string // of a submitSingleMessage, as are the others; all may be absent
	Password   string
	FacilityID string
	Message    string // ER7; line ends are as the XML had them, which is often LF
}

// Kind is a fault of the WSDL: the name of the element in the fault's detail.
type Kind string

// The kinds of faults. Unknown is any that has no kind of its own.
const (
	Unknown              Kind = "fault"
	UnsupportedOperation Kind = "UnsupportedOperationFault"
	Security             Kind = "SecurityFault"
	MessageTooLarge      Kind = "MessageTooLargeFault"
)

// reason is the word that the WSDL fixes for a kind; that of an unknown fault is free.
func (k Kind) reason() string { return strings.TrimSuffix(string(k), "Fault") }

// The codes in a fault's detail, ours to choose. docs/hl7.md lists them.
const (
	CodeUnsupported = 100 // no operation of the WSDL
	CodeSecurity    = 200 // the credentials are missing or wrong
	CodeForbidden   = 201 // they are right, and may not do this
	CodeTooLarge    = 300 // more bytes than are taken
	CodeMany        = 301 // more than one HL7 message
	CodeXML         = 400 // not XML that is read here
	CodeEnvelope    = 401 // no SOAP envelope with one element in its body
	CodeNoMessage   = 402 // no HL7 message in it
	CodeHeader      = 403 // a header that must be understood, and is not
	CodeTooMany     = 429 // too often
	CodeInternal    = 500
	CodeUnavailable = 503
)

// Fault is an answer in place of a response.
type Fault struct {
	Kind   Kind
	Code   int    // one of Code…
	Detail string // for the person who looks after the sender; nothing of a message
	value  string // of the envelope's Code: "" is Receiver
}

// Error implements error.
func (f *Fault) Error() string { return string(f.Kind) + ": " + f.Detail }

// Door is what a message is handed to.
type Door interface {
	// Submit takes one message of a sender and gives the HL7 answer. What is no HL7
	// answer is a *Fault, or any error with a code of coldkeep.Error.
	Submit(ctx context.Context, r Request) (answer string, err error)
}

// Response is the answer to a connectivityTest or a submitSingleMessage.
func Response(v Version, op Operation, text string) []byte {
	var b strings.Builder
	open(&b, v)
	b.WriteString(`<` + string(op) + `Response xmlns="` + Namespace + `"><return>`)
	escape(&b, text)
	b.WriteString(`</return></` + string(op) + `Response>`)
	shut(&b)
	return []byte(b.String())
}

// Bytes is the fault as an envelope.
func (f *Fault) Bytes(v Version) []byte {
	value, reason := f.value, f.Kind.reason()
	text := reason
	if f.Kind == Unknown {
		reason, text = f.Detail, "The request could not be answered."
	}
	if value == "" {
		value = "Receiver" // NIST's test objectives ask for it of every fault of the WSDL
	}
	if v == V11 {
		value = map[string]string{"Receiver": "Server", "Sender": "Client"}[value]
		if value == "" {
			value = f.value
		}
	}
	var b strings.Builder
	open(&b, v)
	if v == V11 {
		b.WriteString(`<soap:Fault><faultcode>soap:` + value + `</faultcode><faultstring xml:lang="en">`)
		escape(&b, text)
		b.WriteString(`</faultstring><detail>`)
		f.detail(&b, reason)
		b.WriteString(`</detail></soap:Fault>`)
	} else {
		b.WriteString(`<soap:Fault><soap:Code><soap:Value>soap:` + value + `</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang="en">`)
		escape(&b, text)
		b.WriteString(`</soap:Text></soap:Reason><soap:Detail>`)
		f.detail(&b, reason)
		b.WriteString(`</soap:Detail></soap:Fault>`)
	}
	shut(&b)
	return []byte(b.String())
}

func (f *Fault) detail(b *strings.Builder, reason string) {
	b.WriteString(`<` + string(f.Kind) + ` xmlns="` + Namespace + `"><Code>` + itoa(f.Code) + `</Code><Reason>`)
	escape(b, reason)
	b.WriteString(`</Reason><Detail>`)
	escape(b, f.Detail)
	b.WriteString(`</Detail></` + string(f.Kind) + `>`)
}

func open(b *strings.Builder, v Version) {
	ns := envelope12
	if v == V11 {
		ns = envelope11
	}
	b.WriteString(xml.Header + `<soap:Envelope xmlns:soap="` + ns + `"><soap:Body>`)
}

func shut(b *strings.Builder) { b.WriteString("</soap:Body></soap:Envelope>\n") }

// escape writes text. Carriage returns, which end HL7's segments, go as &#xD;: a reader of
// XML takes bare ones for line feeds.
func escape(b *strings.Builder, text string) {
	_ = xml.EscapeText(b, []byte(text)) // a strings.Builder takes everything
}
