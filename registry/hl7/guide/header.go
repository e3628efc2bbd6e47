package guide

import (
	"strings"

	"github.com/coldkeep/coldkeep/registry/hl7/er7"
)

// messages are what is understood: type, event, structure and the profiles that a sender
// may claim for it.
var messages = map[string]struct {
	event, structure string
	profiles         []string
	asked            bool
}{
	"VXU": {event: "V04", structure: "VXU_V04", profiles: []string{"Z22"}},
	"QBP": {event: "Q11", structure: "QBP_Q11", profiles: []string{"Z34", "Z44"}, asked: true},
	"VXQ": {event: "V01", asked: true},
}

// versions are how versions of HL7 are read. Others are not supported.
var versions = map[string]Guide{
	"2.1": Old, "2.2": Old, "2.3": Old, "2.3.1": Old, "2.4": Old,
	"2.5": Near, "2.5.1": Near, "2.6": Near, "2.7": Near, "2.7.1": Near, "2.8": Near, "2.8.1": Near, "2.8.2": Near, "2.9": Near, "2.9.1": Near,
}

// header reads MSH and finds the guide. false means that the message goes no further.
func (w *walk) header() bool {
	s := &seg{Segment: w.message.Segments[0]}
	w.result.version = "2.5.1"
	h := &w.result.Header
	kind := s.Field(9)
	h.Type, h.Event, h.Structure = upper(kind.Comp(1)), upper(kind.Comp(2)), upper(kind.Comp(3))
	h.Version, h.ControlID, h.Processing = s.text(12), s.text(10), strings.ToUpper(s.text(11))
	h.SendingApplication, h.SendingFacility = hd(s.Field(3)), hd(s.Field(4))
	h.ReceivingApplication, h.ReceivingFacility = hd(s.Field(5)), hd(s.Field(6))
	h.SendingOrganization, h.ReceivingOrganization = organization(s.first(22)), organization(s.first(23))
	h.Sent, _, _ = moment(s.text(7))
	for _, r := range s.reps(21) {
		if p := strings.ToUpper(part(r, 1)); len(p) == 3 && p[0] == 'Z' {
			h.Profile = p
			break
		}
	}
	if !w.supported(s) {
		return false
	}
	w.form(s)
	whole := w.apply(s, nil)
	if h.Processing == "" && w.result.Guide == Claimed {
		w.say(Error, s.At(11), RequiredFieldMissing, RequiredMissing, "required", "MSH-11 (processing ID) is required and missing.")
		whole = false
	}
	if !whole {
		w.reject(s.At(0), "rejected", "A required field of MSH is empty: the message is rejected.")
	}
	return whole
}

func upper(c er7.Comp) string { return strings.ToUpper(strings.TrimSpace(c.Text())) }

// hd reads an HD, which is a whole field.
func hd(f er7.Field) Authority {
	r := f.Rep(1)
	return Authority{Namespace: part(r, 1), Universal: part(r, 2), Kind: part(r, 3)}
}

func organization(r er7.Rep) Organization {
	return Organization{Name: part(r, 1), ID: part(r, 10), Authority: authority(r.Comp(6))}
}

// supported refuses (AR) what the guide says is to be refused: another type, event,
// processing ID or version.
func (w *walk) supported(s *seg) bool {
	h := &w.result.Header
	refuse := func(field int, code, rule, text string) bool {
		w.result.Rejected, w.result.Outcome = true, AR
		w.say(Error, s.At(field), code, "", rule, "%s: the message is rejected.", text)
		return false
	}
	w.result.Guide = Near
	known, ok := messages[h.Type]
	w.result.Asked = known.asked
	switch {
	case !ok:
		return refuse(9, UnsupportedType, "message-type", "MSH-9 names a type of message that is not taken here; VXU, QBP and VXQ are")
	case h.Event != known.event && h.Event != "":
		return refuse(9, UnsupportedEvent, "event", "MSH-9 names an event other than "+known.event)
	case h.Processing != "" && h.Processing != "P" && h.Processing != "T" && h.Processing != "D":
		return refuse(11, UnsupportedID, "processing", "MSH-11 is none of P, T and D")
	}
	version := strings.TrimRight(h.Version, `\rn `)
	g, ok := versions[version]
	if version == "" {
		if g = Near; h.Type == "VXQ" || h.Profile == "" && h.Structure == "" {
			g = Old
		}
		ok = true
		w.say(Warning, s.At(12), RequiredFieldMissing, RequiredMissing, "version", "MSH-12 (version) is missing; the message is read as %s.", [...]string{"", "2.5.1", "2.3.1"}[g])
	}
	if !ok {
		return refuse(12, UnsupportedVersion, "version", "MSH-12 names a version of HL7 that is not taken here; 2.5.1 and 2.3.1 are, and those near them")
	}
	w.result.Guide = g
	if g == Old || h.Type == "VXQ" {
		w.result.Guide, w.result.version = Old, "2.3.1"
		if version != "2.3.1" && version != "" {
			w.say(Warning, s.At(12), UnsupportedVersion, "", "version", "MSH-12: the version is read as 2.3.1.")
		}
		return true
	}
	claims := false
	for _, p := range known.profiles {
		claims = claims || p == h.Profile
	}
	switch {
	case version == "2.5.1" && claims:
		w.result.Guide = Claimed
	case version == "2.5.1" && h.Profile == "":
		w.say(Warning, s.At(21), RequiredFieldMissing, RequiredMissing, "profile", "MSH-21 (message profile) is missing; the message is read as %s.", known.profiles[0])
	case version == "2.5.1":
		w.say(Warning, s.At(21), TableValueNotFound, NotInTable, "profile", "MSH-21 names a profile that is not of this type of message; it is read as %s.", known.profiles[0])
	case version != "":
		w.say(Warning, s.At(12), UnsupportedVersion, "", "version", "MSH-12: the version is read as 2.5.1.")
	}
	return true
}

// form warns of a message type that is not written as the guide has it.
func (w *walk) form(s *seg) {
	h := &w.result.Header
	known := messages[h.Type]
	if h.Event == "" || w.result.Guide != Old && h.Structure != known.structure {
		w.say(Warning, s.At(9), DataTypeError, InvalidValue, "form", "MSH-9: want %s.", strings.TrimRight(h.Type+"^"+known.event+"^"+known.structure, "^"))
	}
	h.Event = known.event
}
