package soap

import (
	"encoding/xml"
	"strings"
)

// WSDL describes the service at an address. Names, types and actions are those of CDC's
// WSDL of 2011, since clients are generated from them; there is one port, of SOAP 1.2.
func WSDL(address string) []byte {
	var b strings.Builder
	w := func(lines ...string) {
		for _, l := range lines {
			b.WriteString(l + "\n")
		}
	}
	w(`<?xml version="1.0" encoding="UTF-8"?>`,
		`<wsdl:definitions name="IISService" targetNamespace="`+Namespace+`" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:wsaw="http://www.w3.org/2005/08/addressing" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:iis="`+Namespace+`">`,
		` <wsdl:types><xs:schema targetNamespace="`+Namespace+`" elementFormDefault="qualified">`)
	for _, t := range wsdlTypes {
		w(`  <xs:complexType name="` + t.name + `Type"><xs:sequence>`)
		for _, e := range t.elements {
			w(`   <xs:element ` + e + `/>`)
		}
		w(`  </xs:sequence></xs:complexType>`)
	}
	for _, e := range wsdlElements {
		w(`  <xs:element name="` + e[0] + `" type="iis:` + e[1] + `Type"/>`)
	}
	w(` </xs:schema></wsdl:types>`)
	for _, m := range wsdlMessages {
		w(` <wsdl:message name="` + m[0] + `_Message"><wsdl:part name="` + m[1] + `" element="iis:` + m[2] + `"/></wsdl:message>`)
	}
	w(` <wsdl:portType name="IIS_PortType">`)
	for _, op := range wsdlOperations {
		w(`  <wsdl:operation name="`+op.name+`">`,
			`   <wsdl:input message="iis:`+op.name+`_Message" wsaw:Action="`+Namespace+`:`+op.name+`"/>`,
			`   <wsdl:output message="iis:`+op.name+`Response_Message" wsaw:Action="`+Namespace+`:`+op.name+`Response"/>`)
		for _, f := range op.faults {
			w(`   <wsdl:fault name="` + f + `" message="iis:` + f + `_Message"/>`)
		}
		w(`  </wsdl:operation>`)
	}
	w(` </wsdl:portType>`,
		` <wsdl:binding name="client_Binding_Soap12" type="iis:IIS_PortType">`,
		`  <soap12:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>`)
	for _, op := range wsdlOperations {
		w(`  <wsdl:operation name="`+op.name+`">`,
			`   <soap12:operation soapAction="`+Namespace+`:`+op.name+`"/>`,
			`   <wsdl:input><soap12:body use="literal"/></wsdl:input>`,
			`   <wsdl:output><soap12:body use="literal"/></wsdl:output>`)
		for _, f := range op.faults {
			w(`   <wsdl:fault name="` + f + `"><soap12:fault name="` + f + `" use="literal"/></wsdl:fault>`)
		}
		w(`  </wsdl:operation>`)
	}
	var at strings.Builder
	_ = xml.EscapeText(&at, []byte(address)) // a strings.Builder takes everything
	w(` </wsdl:binding>`,
		` <wsdl:service name="client_Service">`,
		`  <wsdl:port name="client_Port_Soap12" binding="iis:client_Binding_Soap12"><soap12:address location="`+at.String()+`"/></wsdl:port>`,
		` </wsdl:service>`,
		`</wsdl:definitions>`)
	return []byte(b.String())
}

const (
	once     = ` type="xs:string" minOccurs="1" maxOccurs="1" nillable="true"`
	atMost   = ` type="xs:string" minOccurs="0" maxOccurs="1" nillable="true"`
	codePart = `name="Code" type="xs:integer" minOccurs="1"`
	lastPart = `name="Detail" type="xs:string" minOccurs="1"`
)

func faultType(k Kind) []string {
	return []string{codePart, `name="Reason" fixed="` + k.reason() + `"`, lastPart}
}

var wsdlTypes = []struct {
	name     string
	elements []string
}{
	{"connectivityTestRequest", []string{`name="echoBack"` + once}},
	{"connectivityTestResponse", []string{`name="return"` + once}},
	{"submitSingleMessageRequest", []string{`name="username"` + atMost, `name="password"` + atMost, `name="facilityID"` + atMost, `name="hl7Message"` + once}},
	{"submitSingleMessageResponse", []string{`name="return"` + once}},
	{"soapFault", []string{codePart, `name="Reason" type="xs:string" minOccurs="1"`, lastPart}},
	{string(UnsupportedOperation), faultType(UnsupportedOperation)},
	{string(Security), faultType(Security)},
	{string(MessageTooLarge), faultType(MessageTooLarge)},
}

// Elements with their types.
var wsdlElements = [][2]string{
	{"connectivityTest", "connectivityTestRequest"},
	{"connectivityTestResponse", "connectivityTestResponse"},
	{"submitSingleMessage", "submitSingleMessageRequest"},
	{"submitSingleMessageResponse", "submitSingleMessageResponse"},
	{string(Unknown), "soapFault"},
	{string(UnsupportedOperation), string(UnsupportedOperation)},
	{string(Security), string(Security)},
	{string(MessageTooLarge), string(MessageTooLarge)},
}

// Messages with their part and element.
var wsdlMessages = [][3]string{
	{"connectivityTest", "parameters", "connectivityTest"},
	{"connectivityTestResponse", "parameters", "connectivityTestResponse"},
	{"submitSingleMessage", "parameters", "submitSingleMessage"},
	{"submitSingleMessageResponse", "parameters", "submitSingleMessageResponse"},
	{"UnknownFault", "fault", string(Unknown)},
	{string(UnsupportedOperation), "fault", string(UnsupportedOperation)},
	{string(Security), "fault", string(Security)},
	{string(MessageTooLarge), "fault", string(MessageTooLarge)},
}

var wsdlOperations = []struct {
	name   string
	faults []string
}{
	{string(ConnectivityTest), []string{"UnknownFault", string(UnsupportedOperation)}},
	{string(SubmitSingleMessage), []string{"UnknownFault", string(Security), string(MessageTooLarge)}},
}
